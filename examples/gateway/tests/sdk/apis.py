"""Azure's SDK for Python, unmodified, manages APIs, policies and upstreams.

Run by the test `azures_sdk_for_python_manages_apis`, with the gateway's address, its files and an upstream's URL as
arguments.
"""

import base64
import pathlib
import sys

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.apimanagement import ApiManagementClient
from azure.mgmt.apimanagement.models import (
    ApiCreateOrUpdateParameter,
    ApiUpdateContract,
    BackendContract,
    BackendCredentialsContract,
    BackendTlsProperties,
    CertificateCreateOrUpdateParameters,
    PolicyContract,
)

url, folder, upstream = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WHERE = ("group", "gateway")


class Token:
    def get_token(self, *_scopes, **_options):
        return AccessToken((folder / "management.token").read_text().strip(), 4102444800)


client = ApiManagementClient(Token(), SUBSCRIPTION, base_url=url, connection_verify=str(folder / "ca.pem"))


def with_etag(operation, *arguments, **options):
    """What the operation returns, with the ETag of the answer."""
    tags = []
    found = operation(*WHERE, *arguments, raw_response_hook=lambda r: tags.append(r.http_response.headers.get("ETag")), **options)
    return found, tags[-1]


def refused(status, part, operation, *arguments, **options):
    try:
        found = operation(*WHERE, *arguments, **options)
        found = found.result() if hasattr(found, "result") else found
    except HttpResponseError as error:
        assert error.status_code == status, error
        assert part in str(error), error
        return error
    raise AssertionError(f"not refused: {operation}")


def api(**changes):
    said = {"display_name": "Orders", "path": "orders-api", "service_url": upstream, "protocols": ["https"]}
    return ApiCreateOrUpdateParameter(**{**said, **changes})


password = (folder / "orders.password").read_text().strip()
data = base64.b64encode((folder / "orders.pfx").read_bytes()).decode()
client.certificate.create_or_update(*WHERE, "orders", CertificateCreateOrUpdateParameters(data=data, password=password))

# APIs: create, get, head, update, list, and what is refused.
made = client.api.begin_create_or_update(*WHERE, "orders", api()).result()
assert (made.name, made.path, made.service_url, made.protocols) == ("orders", "orders-api", upstream, ["https"]), made
found, tag = with_etag(client.api.get, "orders")
assert found.display_name == "Orders" and client.api.get_entity_tag(*WHERE, "orders")
refused(412, "exists", client.api.begin_create_or_update, "orders", api())
refused(409, "open", client.api.begin_create_or_update, "other", api(path="open/below"))
refused(400, "subscription keys", client.api.begin_create_or_update, "other", api(subscription_required=True))
updated = client.api.begin_create_or_update(*WHERE, "orders", api(description="d"), if_match=tag).result()
assert updated.description == "d"
refused(412, "If-Match", client.api.begin_create_or_update, "orders", api(), if_match=tag)
_, tag = with_etag(client.api.get, "orders")
patched = client.api.update(*WHERE, "orders", tag, ApiUpdateContract(display_name="Orders 2"))
assert (patched.display_name, patched.description) == ("Orders 2", "d"), patched
refused(412, "If-Match", client.api.update, "orders", tag, ApiUpdateContract(display_name="Orders 3"))
names = [one.name for one in client.api.list_by_service(*WHERE)]
assert names == ["orders", "file!!open"], names
assert [one.name for one in client.api.list_by_service(*WHERE, filter="path eq 'orders-api'")] == ["orders"]

# Upstreams, with a chain that no policy needs.
contract = BackendContract(
    url=upstream,
    protocol="http",
    tls=BackendTlsProperties(validate_certificate_chain=False),
    credentials=BackendCredentialsContract(certificate_ids=["orders"]),
)
made = client.backend.create_or_update(*WHERE, "orders-v2", contract)
assert made.tls.validate_certificate_chain is False and made.tls.validate_certificate_name is True, made
missing = BackendContract(url=upstream, protocol="http", credentials=BackendCredentialsContract(certificate_ids=["no"]))
refused(400, "Certificate with id 'no' not found.", client.backend.create_or_update, "other", missing)
_, tag = with_etag(client.backend.get, "orders-v2")
assert client.backend.update(*WHERE, "orders-v2", tag, {"properties": {"title": "T"}}).title == "T"
assert [one.name for one in client.backend.list_by_service(*WHERE)] == ["orders-v2"]

# Policies, in both formats.
RULE = '<when condition="@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())">'
RAW = (
    f'<policies><inbound><base /><choose>{RULE}<return-response><set-status code="403" reason="Invalid client certificate" />'
    '</return-response></when></choose><set-backend-service backend-id="orders-v2" />'
    '<authentication-certificate certificate-id="orders" /></inbound></policies>'
)
put = client.api_policy.create_or_update(*WHERE, "orders", "policy", PolicyContract(value=RAW, format="rawxml"))
got = client.api_policy.get(*WHERE, "orders", "policy", format="rawxml")
assert (got.value, got.format) == (RAW, "rawxml") and put.name == "policy", got
xml = client.api_policy.get(*WHERE, "orders", "policy")
assert xml.format == "xml", xml
tag = with_etag(client.api_policy.get, "orders", "policy")[1]
client.api_policy.create_or_update(*WHERE, "orders", "policy", PolicyContract(value=xml.value, format="xml"), if_match=tag)
assert client.api_policy.get_entity_tag(*WHERE, "orders", "policy")
assert len(list(client.api_policy.list_by_api(*WHERE, "orders").value)) == 1
refused(412, "If-Match", client.api_policy.create_or_update, "orders", "policy", PolicyContract(value=RAW, format="rawxml"), if_match=tag)
bad = PolicyContract(value="<policies><inbound><rate-limit calls='1' /></inbound></policies>", format="xml")
error = refused(400, "line 1, column 20: <rate-limit>", client.api_policy.create_or_update, "orders", "policy", bad, if_match="*")
assert error.error.details[0].target == "representation", error
everything = PolicyContract(value="<policies><inbound><set-header name='X-All'><value>1</value></set-header></inbound></policies>")
client.policy.create_or_update(*WHERE, "policy", everything)
assert "X-All" in client.policy.get(*WHERE, "policy").value
client.policy.delete(*WHERE, "policy", if_match="*")

# What is in use stays.
for operation, name in ((client.certificate.delete, "orders"), (client.backend.delete, "orders-v2")):
    refused(400, "/apis/orders/policies/policy", operation, name, if_match="*")
client.api_policy.delete(*WHERE, "orders", "policy", if_match="*")
client.backend.delete(*WHERE, "orders-v2", if_match="*")
client.certificate.delete(*WHERE, "orders", if_match="*")
refused(412, "If-Match", client.api.begin_delete if hasattr(client.api, "begin_delete") else client.api.delete, "orders", if_match='"0000000000000001"')
deleting = (client.api.begin_delete if hasattr(client.api, "begin_delete") else client.api.delete)(*WHERE, "orders", if_match="*")
if hasattr(deleting, "result"):
    deleting.result()
try:
    client.api.get(*WHERE, "orders")
    raise AssertionError("found")
except ResourceNotFoundError as error:
    assert error.error.code == "ResourceNotFound", error
print("the SDK is content")
