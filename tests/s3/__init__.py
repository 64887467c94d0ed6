"""A real S3 endpoint over HTTP on this machine, and a proxy before it that counts, delays and fails requests.

with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
    proxy.rules(Rule("status", status=500, probability=0.05))
    ...  # endpoint_url=proxy.url
    proxy.counts().requests
"""

from __future__ import annotations

from .endpoint import BUCKET, Endpoint, s3_endpoint
from .proxy import Counts, Proxy, Rule, fault_proxy

__all__ = ["BUCKET", "Counts", "Endpoint", "Proxy", "Rule", "fault_proxy", "s3_endpoint"]
