"""Azure's SDK for Python, unmodified, manages the gateway's certificates.

Run by the test `azures_sdk_for_python_manages_certificates`, with the gateway's address and files as arguments.
"""

import base64
import pathlib
import sys

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.apimanagement import ApiManagementClient
from azure.mgmt.apimanagement.models import CertificateCreateOrUpdateParameters

url, folder = sys.argv[1], pathlib.Path(sys.argv[2])
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WHERE = ("group", "gateway")


class Token:
    def get_token(self, *_scopes, **_options):
        return AccessToken((folder / "management.token").read_text().strip(), 4102444800)


certificates = ApiManagementClient(
    Token(), SUBSCRIPTION, base_url=url, connection_verify=str(folder / "ca.pem")
).certificate


def upload(data, password=None):
    return CertificateCreateOrUpdateParameters(data=base64.b64encode(data).decode(), password=password)


def identity(name):
    password = (folder / f"{name}.password").read_text().strip()
    return (folder / f"{name}.pfx").read_bytes(), password


def with_etag(operation, *arguments, **options):
    """What the operation returns, with the ETag of the answer."""
    tags = []
    found = operation(*WHERE, *arguments, raw_response_hook=lambda r: tags.append(r.http_response.headers.get("ETag")), **options)
    return found, tags[-1]


def refused(status, part, operation, *arguments, **options):
    try:
        operation(*WHERE, *arguments, **options)
    except HttpResponseError as error:
        assert error.status_code == status, error
        assert part in str(error), error
        return error
    raise AssertionError(f"not refused: {operation}")


# Create; a wrong password is reported by name.
error = refused(400, "password", certificates.create_or_update, "chosen", upload(identity("orders")[0], "wrong"))
assert error.error.code == "ValidationError" and error.error.details[0].target == "password", error
created, first = with_etag(certificates.create_or_update, "chosen", upload(*identity("orders")))
assert created.name == "chosen" and created.subject == "CN=orders-gateway, O=Contoso", created
assert len(created.thumbprint) == 40 and created.expiration_date.year >= 2026, created

# Head and get.
assert certificates.get_entity_tag(*WHERE, "chosen")
found, tag = with_etag(certificates.get, "chosen")
assert (found.id, tag) == (created.id, first)
try:
    certificates.get(*WHERE, "missing")
    raise AssertionError("found")
except ResourceNotFoundError as error:
    assert error.error.code == "ResourceNotFound", error

# Update: with a stale ETag, and with the right one.
refused(412, "exists", certificates.create_or_update, "chosen", upload(*identity("billing")))
updated, second = with_etag(certificates.create_or_update, "chosen", upload(*identity("billing")), if_match=first)
assert updated.subject == "CN=billing-gateway, O=Contoso" and second != first
refused(412, "If-Match", certificates.create_or_update, "chosen", upload(*identity("orders")), if_match=first)
assert certificates.refresh_secret(*WHERE, "chosen").thumbprint == updated.thumbprint

# List: every operator that is documented, and 250 entries over several pages.
caller = (folder / "client.pem").read_bytes()
odd = "it's 100% (odd) ~ä/b"
certificates.create_or_update(*WHERE, odd, upload(caller))
assert certificates.get(*WHERE, odd).name == odd
for number in range(250):
    certificates.create_or_update(*WHERE, f"caller-{number:03}", upload(caller))


def names(filter=None, **options):
    return [one.name for one in certificates.list_by_service(*WHERE, filter=filter, **options)]


assert len(names()) == 252
pages = [len(list(page)) for page in certificates.list_by_service(*WHERE, filter="startswith(name,'caller-')").by_page()]
assert pages == [100, 100, 50], pages
assert names("startswith(name,'caller-')", skip=245) == [f"caller-{number}" for number in range(245, 250)]
four = updated.thumbprint[-4:]
end = updated.expiration_date.strftime("%Y-%m-%dT%H:%M:%SZ")
subject = updated.subject
for field, value in (("name", "chosen"), ("subject", subject), ("thumbprint", updated.thumbprint)):
    for operator, expected in (("eq", True), ("ge", True), ("le", True), ("ne", False), ("gt", False), ("lt", False)):
        found = "chosen" in names(f"{field} {operator} '{value}'")
        assert found == expected, (field, operator)
    for function in (
        f"substringof('{value[2:6]}',{field})",
        f"contains({field},'{value[2:6]}')",
        f"startswith({field},'{value[:4]}')",
        f"endswith({field},'{value[-4:]}')",
    ):
        assert "chosen" in names(function), function
for operator, expected in (("eq", True), ("ge", True), ("le", True), ("ne", False), ("gt", False), ("lt", False)):
    assert ("chosen" in names(f"expirationDate {operator} {end}")) == expected, operator
assert names(f"endswith(thumbprint,'{four}')") == ["chosen"]
refused(400, "the field issuer", lambda *where, **options: list(certificates.list_by_service(*where, **options)), filter="issuer eq 'x'")

# Delete: a route needs it; with a stale ETag; and an unused entry.
refused(400, "is used by the following entities", certificates.delete, "chosen", if_match="*")
refused(412, "If-Match", certificates.delete, "caller-000", if_match=first)
_, tag = with_etag(certificates.get, "caller-000")
certificates.delete(*WHERE, "caller-000", if_match=tag)
certificates.delete(*WHERE, "caller-000", if_match="*")
certificates.delete(*WHERE, odd, if_match="*")
assert len(names()) == 250
print("the SDK is content")
