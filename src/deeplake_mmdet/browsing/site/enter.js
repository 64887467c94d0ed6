// From a link on another page to the page itself: what stands behind '#' goes along, the token does not.
location.replace(`/${location.hash}`);
