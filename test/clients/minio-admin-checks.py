"""Checks of the administration API with MinioAdmin of PyPI's minio package, one function each: prints one JSON line per check.

Reads GRANARY_ENDPOINT and the AWS_* variables.
"""

import contextlib
import io
import json
import os
import time
import traceback
from urllib.parse import urlsplit
from urllib.request import urlopen

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error

HOST = urlsplit(os.environ["GRANARY_ENDPOINT"]).netloc
ROOT = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def admin(access_key=ROOT[0], secret_key=ROOT[1]):
    return MinioAdmin(endpoint=HOST, credentials=StaticProvider(access_key, secret_key), secure=False)


def client(access_key, secret_key):
    return Minio(endpoint=HOST, access_key=access_key, secret_key=secret_key, secure=False, region="us-east-1")


root = admin()
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": ["arn:aws:s3:::*"]}],
}


@contextlib.contextmanager
def refused(status, code):
    """The call inside is refused with this status and code."""
    try:
        yield
    except MinioAdminException as error:
        got = (int(error._code), json.loads(error._body)["Code"])
        assert got == (status, code), f"{got} instead of {(status, code)}"
        return
    raise AssertionError(f"not refused with {code}")


def users():
    root.user_add("ann", "secret-of-ann")
    root.user_add("bob", "secret-of-bob")
    listed = json.loads(root.user_list())
    assert {"ann", "bob"} <= set(listed), listed
    assert listed["ann"]["status"] == "enabled" and "secretKey" not in listed["ann"]
    root.user_disable("bob")
    assert json.loads(root.user_info("bob"))["status"] == "disabled"
    root.user_enable("bob")
    assert json.loads(root.user_info("bob"))["status"] == "enabled"
    root.user_remove("bob")
    with refused(404, "XMinioAdminNoSuchUser"):
        root.user_info("bob")


def policies():
    root.policy_add("listing", policy=POLICY)
    listed = json.loads(root.policy_list())
    assert {"readonly", "readwrite", "writeonly", "diagnostics", "consoleAdmin", "listing"} <= set(listed), listed
    assert listed["listing"]["Statement"][0]["Action"] == ["s3:ListAllMyBuckets"]
    info = json.loads(root.policy_info("listing"))
    assert info["Statement"][0]["Effect"] == "Allow", info
    with refused(404, "XMinioAdminNoSuchPolicy"):
        root.policy_info("no-such-policy")
    with refused(400, "XMinioMalformedIAMPolicy"):
        root.policy_add("broken", policy={"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]})


def attachments():
    root.user_add("cam", "secret-of-cam")
    root.policy_add("listing", policy=POLICY)
    attached = json.loads(root.attach_policy(["listing,readonly"], user="cam"))
    assert sorted(attached["policiesAttached"]) == ["listing", "readonly"], attached
    with refused(400, "XMinioAdminPolicyChangeAlreadyApplied"):
        root.attach_policy(["listing"], user="cam")
    entities = json.loads(root.get_policy_entities(["cam"], [], []))
    assert sorted(entities["userMappings"][0]["policies"]) == ["listing", "readonly"], entities
    with refused(400, "XMinioIAMPolicyInUse"):
        root.policy_remove("listing")
    client("cam", "secret-of-cam").list_buckets()
    detached = json.loads(root.detach_policy(["listing", "readonly"], user="cam"))
    assert sorted(detached["policiesDetached"]) == ["listing", "readonly"], detached
    root.policy_set("readonly", user="cam")
    assert json.loads(root.user_info("cam"))["policyName"] == "readonly"
    root.policy_remove("listing")


def groups():
    root.user_add("dan", "secret-of-dan")
    root.group_add("crew", ["dan"])
    assert json.loads(root.group_list()) == ["crew"]
    root.policy_set("readwrite", group="crew")
    info = json.loads(root.group_info("crew"))
    assert (info["members"], info["policy"], info["status"]) == (["dan"], "readwrite", "enabled"), info
    client("dan", "secret-of-dan").make_bucket(bucket_name="by-dan")
    root.group_disable("crew")
    try:
        client("dan", "secret-of-dan").make_bucket(bucket_name="by-dan-again")
        raise AssertionError("a disabled group gives rights")
    except S3Error as error:
        assert error.code == "AccessDenied", error.code
    root.group_enable("crew")
    with refused(400, "XMinioAdminGroupNotEmpty"):
        root.group_remove("crew")
    root.group_remove("crew", ["dan"])
    root.group_remove("crew")
    with refused(404, "XMinioAdminNoSuchGroup"):
        root.group_info("crew")


def access_keys():
    root.user_add("eva", "secret-of-eva")
    root.policy_set("readwrite", user="eva")
    eva = admin("eva", "secret-of-eva")
    made = json.loads(eva.add_service_account(name="first", description="of eva", policy=POLICY))["credentials"]
    assert len(made["accessKey"]) == 20 and len(made["secretKey"]) == 40, made
    info = json.loads(eva.get_service_account(made["accessKey"]))
    assert (info["parentUser"], info["accountStatus"], info["name"]) == ("eva", "on", "first"), info
    assert info["impliedPolicy"] is False and "ListAllMyBuckets" in info["policy"]
    listed = json.loads(eva.list_service_account("eva"))["accounts"]
    assert [key["accessKey"] for key in listed] == [made["accessKey"]], listed
    client(made["accessKey"], made["secretKey"]).list_buckets()
    try:
        client(made["accessKey"], made["secretKey"]).make_bucket(bucket_name="by-key")
        raise AssertionError("the policy of the key does not restrict")
    except S3Error as error:
        assert error.code == "AccessDenied", error.code
    with refused(403, "AccessDenied"):
        eva.update_service_account(access_key=made["accessKey"], status="off")
    root.update_service_account(access_key=made["accessKey"], status="off")
    assert json.loads(root.get_service_account(made["accessKey"]))["accountStatus"] == "off"
    eva.delete_service_account(made["accessKey"])
    with refused(404, "XMinioInvalidIAMCredentials"):
        root.get_service_account(made["accessKey"])


def own_secret():
    root.user_add("fay", "secret-of-fay")
    with refused(403, "AccessDenied"):
        admin("fay", "secret-of-fay").user_list()
    with refused(403, "SignatureDoesNotMatch"):
        admin("fay", "secret-of-somebody").user_list()
    with refused(403, "InvalidAccessKeyId"):
        admin("nobody-at-all", "secret-of-somebody").user_list()


def account():
    info = json.loads(root.account_info())
    assert info["AccountName"] == ROOT[0], info
    assert info["Policy"]["Statement"], info
    store = client(*ROOT)
    store.make_bucket(bucket_name="counted")
    for number, size in enumerate([10, 2000, 2000, 600_000]):
        store.put_object(bucket_name="counted", object_name=f"object-{number}", data=io.BytesIO(bytes(size)), length=size)
    counted = next(bucket for bucket in json.loads(root.account_info())["Buckets"] if bucket["name"] == "counted")
    assert (counted["objects"], counted["size"]) == (4, 604_010), counted
    ranges = counted["objectHistogram"]
    assert (ranges["LESS_THAN_1024_B"], ranges["BETWEEN_1024B_AND_1_MB"]) == (1, 3), ranges


def server_info():
    info = json.loads(root.info())
    assert info["mode"] == "online" and info["backend"]["onlineDisks"] == 4, info
    drives = info["servers"][0]["drives"]
    assert [(drive["state"], drive["disk_index"]) for drive in drives] == [("ok", index) for index in range(4)], drives
    with refused(403, "AccessDenied"):
        admin("fay", "secret-of-fay").info()


def large_lists():
    for number in range(300):
        root.policy_add(f"many-{number}", policy=POLICY)
    assert len(json.loads(root.policy_list())) >= 305
    for number in range(200):
        root.group_add(f"group-{number:03}", [])
    assert len([name for name in json.loads(root.group_list()) if name.startswith("group-")]) == 200


def settings():
    assert "requests_max=0 " in root.config_get("api")
    root.config_set("api", {"requests_max": "700", "comment": "two words"})
    assert root.config_get("api").startswith("api requests_max=700 "), root.config_get("api")
    assert 'comment="two words"' in root.config_get("api")
    root.config_set("audit_webhook:far", {"endpoint": "http://127.0.0.1:1/", "auth_token": "Bearer hunter2", "enable": "off"})
    shown = root.config_get("audit_webhook:far")
    assert "endpoint=http://127.0.0.1:1/ " in shown and "hunter2" not in shown, shown
    root.config_reset("audit_webhook", "far")
    with refused(404, "XMinioConfigNotFoundError"):
        root.config_reset("audit_webhook", "far")
    with refused(400, "XMinioConfigError"):
        root.config_set("api", {"requests_max": "many"})
    with refused(400, "XMinioConfigError"):
        root.config_set("no_such_thing", {"a": "b"})
    history = json.loads(root.config_history())
    assert [entry["data"].split()[0] for entry in history] == ["api", "audit_webhook:far"], history
    assert "hunter2" not in json.dumps(history)
    root.config_reset("api")
    assert "requests_max=0 " in root.config_get("api")
    root.config_restore(history[0]["restoreId"])
    assert "requests_max=700 " in root.config_get("api")
    assert len(json.loads(root.config_history())) == 1


def restart():
    root.config_set("site", {"name": "after"})
    root.service_restart()
    # From the answer on the old process is not well; once somebody is, it is the new one.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://{HOST}/minio/health/cluster", timeout=5) as answer:
                assert answer.status == 200
                break
        except OSError:
            time.sleep(0.05)
    assert root.config_get("site").startswith("site name=after ")
    assert "requests_max=700 " in root.config_get("api")
    root.config_reset("api")


CHECKS = [
    users,
    policies,
    attachments,
    groups,
    access_keys,
    own_secret,
    account,
    server_info,
    large_lists,
    settings,
    restart,
]

if __name__ == "__main__":
    for check in CHECKS:
        error = None
        try:
            check()
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps({"check": check.__name__, "error": error}), flush=True)
