"""Checks of temporary credentials with boto3 and PyPI's minio package, one function each: prints one JSON line per check.

Reads GRANARY_ENDPOINT, the AWS_* variables of a user that may do everything in S3, and the name of a bucket that is there.
"""

import datetime
import io
import json
import os
import sys
import traceback
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from minio import Minio
from minio.credentials import AssumeRoleProvider
from minio.error import S3Error

ENDPOINT = os.environ["GRANARY_ENDPOINT"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
BUCKET = sys.argv[1]
ROLE = {"RoleArn": "arn:xxx:xxx:xxx:xxxx", "RoleSessionName": "anything"}
ONE_ATTEMPT = {"max_attempts": 1, "mode": "standard"}
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [f"arn:aws:s3:::{BUCKET}/in/*"]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{BUCKET}"]},
        ],
    },
    indent=4,
)


def sts(key=KEY, secret=SECRET, token=None, region=None):
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
    return boto3.client("sts", endpoint_url=ENDPOINT, region_name=region, config=Config(retries=ONE_ATTEMPT), **keys)


def s3(found, signature="s3v4"):
    config = Config(retries=ONE_ATTEMPT, s3={"addressing_style": "path"}, signature_version=signature)
    keys = {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }
    return boto3.client("s3", endpoint_url=ENDPOINT, config=config, **keys)


def refusal_of(call, *args, **named):
    try:
        call(*args, **named)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    raise AssertionError("not refused")


def boto3_gets_and_uses_credentials():
    answer = sts().assume_role(**ROLE, DurationSeconds=900)
    found = answer["Credentials"]
    left = found["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(seconds=880) < left <= datetime.timedelta(seconds=901), left
    assert answer["ResponseMetadata"]["RequestId"], answer
    client = s3(found)
    client.put_object(Bucket=BUCKET, Key="boto3", Body=b"content")
    assert client.get_object(Bucket=BUCKET, Key="boto3")["Body"].read() == b"content"
    client.upload_fileobj(io.BytesIO(bytes(9_000_000)), BUCKET, "boto3-parts")
    assert client.head_object(Bucket=BUCKET, Key="boto3-parts")["ContentLength"] == 9_000_000
    assert BUCKET in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


def boto3_for_any_region():
    for region in ("us-east-1", "eu-central-1", "ap-southeast-2"):
        assert sts(region=region).assume_role(**ROLE)["Credentials"]["SessionToken"]


def boto3_signs_addresses():
    found = sts().assume_role(**ROLE)["Credentials"]
    s3(found).put_object(Bucket=BUCKET, Key="address", Body=b"by address")
    # Of both versions of the signature.
    for signature in ("s3v4", "s3"):
        url = s3(found, signature).generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "address"}, 600)
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"by address"
        try:
            urllib.request.urlopen(url.replace("oken=ey", "oken=xx"))
        except urllib.error.HTTPError as error:
            assert error.code == 403, error
        else:
            raise AssertionError("not refused")


def boto3_is_held_to_the_session_policy():
    client = s3(sts().assume_role(**ROLE, Policy=POLICY)["Credentials"])
    client.put_object(Bucket=BUCKET, Key="in/boto3", Body=b"allowed")
    assert client.get_object(Bucket=BUCKET, Key="in/boto3")["Body"].read() == b"allowed"
    assert client.list_objects_v2(Bucket=BUCKET, Prefix="in/")["KeyCount"] >= 1
    denied = (403, "AccessDenied")
    assert refusal_of(client.put_object, Bucket=BUCKET, Key="out/boto3", Body=b"x") == denied
    assert refusal_of(client.delete_object, Bucket=BUCKET, Key="in/boto3") == denied
    assert refusal_of(client.create_bucket, Bucket="not-by-it") == denied
    # Those it may list.
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [BUCKET]


def boto3_is_told_what_is_wrong():
    client = sts()
    assert refusal_of(client.assume_role, **ROLE, DurationSeconds=31_536_001) == (400, "InvalidParameterValue")
    assert refusal_of(client.assume_role, **ROLE, Policy="{}") == (400, "InvalidParameterValue")
    assert refusal_of(client.get_caller_identity) == (400, "InvalidParameterValue")
    assert refusal_of(sts(secret="not-the-secret").assume_role, **ROLE) == (403, "AccessDenied")
    found = client.assume_role(**ROLE)["Credentials"]
    again = sts(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    assert refusal_of(again.assume_role, **ROLE) == (403, "AccessDenied")
    web = {**ROLE, "WebIdentityToken": "not-a-token"}
    assert refusal_of(client.assume_role_with_web_identity, **web) == (400, "InvalidParameterValue")


USER = {"sts_endpoint": ENDPOINT, "access_key": KEY, "secret_key": SECRET}


def minio(provider):
    return Minio(endpoint=urlsplit(ENDPOINT).netloc, credentials=provider, secure=False, region="us-east-1")


def minio_gets_and_uses_credentials():
    provider = AssumeRoleProvider(**USER, duration_seconds=3600)
    found = provider.retrieve()
    assert found.session_token and found.access_key != KEY
    client = minio(provider)
    client.put_object(bucket_name=BUCKET, object_name="minio", data=io.BytesIO(b"content"), length=7)
    answer = client.get_object(bucket_name=BUCKET, object_name="minio")
    assert answer.read() == b"content"
    answer.close()
    url = client.presigned_get_object(bucket_name=BUCKET, object_name="minio")
    with urllib.request.urlopen(url) as followed:
        assert followed.read() == b"content"


def minio_is_held_to_the_session_policy():
    provider = AssumeRoleProvider(**USER, policy=POLICY, region="us-east-1", role_arn=ROLE["RoleArn"])
    client = minio(provider)
    client.put_object(bucket_name=BUCKET, object_name="in/minio", data=io.BytesIO(b"x"), length=1)
    for call in (
        lambda: client.put_object(bucket_name=BUCKET, object_name="out/minio", data=io.BytesIO(b"x"), length=1),
        lambda: client.remove_object(bucket_name=BUCKET, object_name="in/minio"),
        lambda: client.make_bucket(bucket_name="not-by-it"),
    ):
        try:
            call()
        except S3Error as error:
            assert error.code == "AccessDenied", error
        else:
            raise AssertionError("not refused")


CHECKS = [
    boto3_gets_and_uses_credentials,
    boto3_for_any_region,
    boto3_signs_addresses,
    boto3_is_held_to_the_session_policy,
    boto3_is_told_what_is_wrong,
    minio_gets_and_uses_credentials,
    minio_is_held_to_the_session_policy,
]

if __name__ == "__main__":
    for check in CHECKS:
        error = None
        try:
            check()
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps({"check": check.__name__, "error": error}), flush=True)
