"""Checks of a server with boto3, one function each: prints one JSON line per check.

Reads GRANARY_ENDPOINT and the AWS_* variables; the first argument is a folder that may be filled,
the second the tree to copy, the third a file of over 1 GiB.
"""

import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import io
import json
import os
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import zlib

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["GRANARY_ENDPOINT"]
WORK, TREE, BIG = (os.fsencode(path) for path in sys.argv[1:4])
MIB = 1024 * 1024


def connect(**settings):
    keys = {name: settings.pop(name) for name in ("aws_access_key_id", "aws_secret_access_key") if name in settings}
    retries = {"max_attempts": 1, "mode": "standard"}
    style = {"addressing_style": "path", **settings.pop("s3", {})}
    config = Config(retries=retries, s3=style, signature_version="s3v4", max_pool_connections=32, **settings)
    return boto3.client("s3", endpoint_url=ENDPOINT, config=config, **keys)


s3 = connect()
BUCKET = "boto3"
BODY = bytes(range(256)) * 1000


@contextlib.contextmanager
def refused(code, status):
    """The call inside is refused with this code and status."""
    try:
        yield
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"{got} instead of {(code, status)}"
        return
    raise AssertionError(f"not refused with {code}")


def body_of(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def paths_below(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(base, name), folder)


def a_tree_in_and_out():
    client = connect()
    names = sorted(paths_below(TREE))

    def up(name):
        with open(os.path.join(TREE, name), "rb") as file:
            client.put_object(Bucket=BUCKET, Key="tree/" + os.fsdecode(name), Body=file)

    def same(name):
        with open(os.path.join(TREE, name), "rb") as file:
            want = file.read()
        got = client.get_object(Bucket=BUCKET, Key="tree/" + os.fsdecode(name))["Body"].read()
        assert got == want, name

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(up, names))
        listed = []
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="tree/"):
            listed += [(entry["Key"], entry["Size"]) for entry in page.get("Contents", [])]
        want = [("tree/" + os.fsdecode(name), os.path.getsize(os.path.join(TREE, name))) for name in names]
        assert listed == sorted(want, key=lambda pair: pair[0].encode()), "the listing is not the tree"
        list(pool.map(same, names))
    for at in range(0, len(listed), 1000):
        keys = [{"Key": key} for key, _ in listed[at : at + 1000]]
        answer = client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
        assert len(answer["Deleted"]) == len(keys) and "Errors" not in answer
    assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def a_file_of_over_1_gib():
    config = TransferConfig(multipart_chunksize=32 * MIB, max_concurrency=6)
    s3.upload_file(os.fsdecode(BIG), BUCKET, "big", Config=config)
    back = os.path.join(WORK, b"big-again")
    s3.download_file(BUCKET, "big", os.fsdecode(back), Config=config)
    with open(BIG, "rb") as one, open(back, "rb") as other:
        while True:
            piece = one.read(4 * MIB)
            assert piece == other.read(4 * MIB), f"differs before {one.tell()}"
            if not piece:
                break
    os.unlink(back)
    s3.delete_object(Bucket=BUCKET, Key="big")


def metadata_and_content_headers():
    headers = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="x y.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "el, en",
        "ContentType": "text/plain; charset=utf-8",
        "Expires": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "Metadata": {"one": "1", "two-words": "two  words", "empty": ""},
    }
    s3.put_object(Bucket=BUCKET, Key="headers", Body=BODY, **headers)
    for answer in (s3.head_object(Bucket=BUCKET, Key="headers"), s3.get_object(Bucket=BUCKET, Key="headers")):
        assert answer["ContentLength"] == len(BODY)
        assert answer["ETag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
        for name, value in headers.items():
            assert answer[name] == value, (name, answer[name])
    answer = s3.get_object(
        Bucket=BUCKET,
        Key="headers",
        ResponseContentType="text/other",
        ResponseCacheControl="no-store",
        ResponseContentLanguage="fr",
    )
    assert (answer["ContentType"], answer["CacheControl"], answer["ContentLanguage"]) == ("text/other", "no-store", "fr")


def metadata_of_2_kib_is_the_limit():
    s3.put_object(Bucket=BUCKET, Key="metadata", Body=b"", Metadata={"k": "v" * 2000})
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=BUCKET, Key="metadata", Body=b"", Metadata={"k": "v" * 2048})


def ranges():
    s3.put_object(Bucket=BUCKET, Key="range", Body=BODY)
    last = len(BODY) - 1
    cases = [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=131072-", 131072, last),
        ("bytes=-10", last - 9, last),
        (f"bytes={last}-{last + 500}", last, last),
        ("bytes=-9999999", 0, last),
    ]
    for text, first, end in cases:
        answer = s3.get_object(Bucket=BUCKET, Key="range", Range=text)
        assert answer["ContentRange"] == f"bytes {first}-{end}/{len(BODY)}", answer["ContentRange"]
        assert answer["Body"].read() == BODY[first : end + 1], text
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=BUCKET, Key="range", Range=f"bytes={len(BODY)}-")
    # Two ranges, or nonsense: the whole object.
    for text in ("bytes=0-1,5-6", "lines=1-2", "bytes=x-y"):
        answer = s3.get_object(Bucket=BUCKET, Key="range", Range=text)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200, text


def conditions_on_reads():
    tag = s3.put_object(Bucket=BUCKET, Key="read", Body=BODY)["ETag"]
    before = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    time.sleep(1.1)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert body_of("read", IfMatch=tag) == BODY
    assert body_of("read", IfNoneMatch='"x"') == BODY
    assert body_of("read", IfModifiedSince=before) == BODY
    assert body_of("read", IfUnmodifiedSince=now) == BODY
    # The tag decides when both are given.
    assert body_of("read", IfMatch=tag, IfUnmodifiedSince=before) == BODY
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=BUCKET, Key="read", IfMatch='"x"')
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=BUCKET, Key="read", IfUnmodifiedSince=before)
    with refused("304", 304):
        s3.get_object(Bucket=BUCKET, Key="read", IfNoneMatch=tag)
    with refused("304", 304):
        s3.get_object(Bucket=BUCKET, Key="read", IfModifiedSince=now)
    with refused("304", 304):
        s3.head_object(Bucket=BUCKET, Key="read", IfNoneMatch=tag, IfModifiedSince=before)


def conditions_on_writes():
    tag = s3.put_object(Bucket=BUCKET, Key="once", Body=b"first", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"second", IfNoneMatch="*")
    assert body_of("once") == b"first"
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"third", IfMatch=tag)
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"fourth", IfMatch=tag)
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=BUCKET, Key="not there", Body=b"x", IfMatch=tag)
    assert body_of("once") == b"third"


def of_many_writers_one_is_first():
    client = connect()
    barrier = threading.Barrier(16)

    def write(number):
        barrier.wait()
        try:
            client.put_object(Bucket=BUCKET, Key="race", Body=str(number).encode() * 70000, IfNoneMatch="*")
            return number
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error
            return None

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(write, range(16)) if number is not None]
    assert len(winners) == 1, winners
    assert body_of("race") == str(winners[0]).encode() * 70000


def checksums_in_headers():
    for algorithm, value in (
        ("CRC32", zlib.crc32(BODY).to_bytes(4, "big")),
        ("SHA1", hashlib.sha1(BODY).digest()),
        ("SHA256", hashlib.sha256(BODY).digest()),
    ):
        name = f"Checksum{algorithm}"
        want = base64.b64encode(value).decode()
        put = s3.put_object(Bucket=BUCKET, Key=algorithm, Body=BODY, **{name: want})
        assert put[name] == want
        head = s3.head_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")
        assert head[name] == want and head["ChecksumType"] == "FULL_OBJECT", head
        # boto3 verifies what it reads.
        assert body_of(algorithm, ChecksumMode="ENABLED") == BODY
        wrong = base64.b64encode(value[::-1]).decode()
        with refused("BadDigest", 400):
            s3.put_object(Bucket=BUCKET, Key=algorithm, Body=BODY, **{name: wrong})
        with refused("InvalidRequest", 400):
            s3.put_object(Bucket=BUCKET, Key=algorithm, Body=BODY, **{name: "AAAA"})
    for algorithm, want in (("CRC32C", "4waSgw=="), ("CRC64NVME", "rosUhgp5mIg=")):
        name = f"Checksum{algorithm}"
        put = s3.put_object(Bucket=BUCKET, Key=algorithm, Body=b"123456789", **{name: want})
        assert put[name] == want, put
        head = s3.head_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")
        assert head[name] == want, head


def content_md5():
    want = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    s3.put_object(Bucket=BUCKET, Key="md5", Body=BODY, ContentMD5=want)
    with refused("BadDigest", 400):
        s3.put_object(Bucket=BUCKET, Key="md5", Body=BODY + b"x", ContentMD5=want)
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=BUCKET, Key="md5", Body=BODY, ContentMD5="short")


def a_signed_payload():
    client = connect(s3={"payload_signing_enabled": True, "addressing_style": "path"})
    for length in (0, 1, 70_000, 2 * MIB + 1):
        client.put_object(Bucket=BUCKET, Key="signed", Body=io.BytesIO(BODY[:1] * length))
        assert body_of("signed") == BODY[:1] * length
    no_checksum = connect(request_checksum_calculation="when_required", s3={"payload_signing_enabled": True})
    no_checksum.put_object(Bucket=BUCKET, Key="signed", Body=BODY)
    assert body_of("signed") == BODY


def an_unsigned_payload():
    client = connect(request_checksum_calculation="when_required", s3={"payload_signing_enabled": False})
    client.put_object(Bucket=BUCKET, Key="unsigned", Body=BODY)
    assert body_of("unsigned") == BODY


def an_upload_in_parallel_parts():
    parts = [bytes([65 + number]) * (5 * MIB + number) for number in range(4)] + [b"last"]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", Metadata={"a": "b"}, ContentType="text/x-parts")
    target = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload["UploadId"]}

    def send(number):
        answer = s3.upload_part(**target, PartNumber=number * 3 + 1, Body=parts[number])
        return {"PartNumber": number * 3 + 1, "ETag": answer["ETag"]}

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        sent = list(pool.map(send, reversed(range(5))))
    listed = s3.list_parts(**target)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [
        (number * 3 + 1, len(parts[number])) for number in range(5)
    ]
    first = s3.list_parts(**target, MaxParts=2)
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 4
    rest = s3.list_parts(**target, MaxParts=100, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [7, 10, 13] and not rest["IsTruncated"]
    found = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in found] == [("parts", upload["UploadId"])]
    ordered = sorted(sent, key=lambda part: part["PartNumber"])
    with refused("InvalidPartOrder", 400):
        s3.complete_multipart_upload(**target, MultipartUpload={"Parts": sent})
    with refused("InvalidPart", 400):
        wrong = [{**ordered[0], "ETag": '"0123456789abcdef0123456789abcdef"'}]
        s3.complete_multipart_upload(**target, MultipartUpload={"Parts": wrong})
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=BUCKET, Key="parts")
    done = s3.complete_multipart_upload(**target, MultipartUpload={"Parts": ordered})
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-5"', done["ETag"]
    # Asked again, because the answer may have been lost.
    again = s3.complete_multipart_upload(**target, MultipartUpload={"Parts": ordered})
    assert again["ETag"] == done["ETag"]
    answer = s3.get_object(Bucket=BUCKET, Key="parts")
    assert answer["Body"].read() == b"".join(parts)
    assert answer["Metadata"] == {"a": "b"} and answer["ContentType"] == "text/x-parts"
    # The parts keep their order, not their numbers, as in S3 itself.
    second = s3.get_object(Bucket=BUCKET, Key="parts", PartNumber=2)
    assert second["PartsCount"] == 5 and second["Body"].read() == parts[1]
    assert s3.head_object(Bucket=BUCKET, Key="parts", PartNumber=5)["ContentLength"] == 4
    with refused("416", 416):
        s3.head_object(Bucket=BUCKET, Key="parts", PartNumber=6)
    with refused("NoSuchUpload", 404):
        s3.list_parts(**target)


def parts_that_are_too_small():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="small parts")
    target = {"Bucket": BUCKET, "Key": "small parts", "UploadId": upload["UploadId"]}
    tags = [s3.upload_part(**target, PartNumber=number, Body=b"small")["ETag"] for number in (1, 2)]
    chosen = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    with refused("EntityTooSmall", 400):
        s3.complete_multipart_upload(**target, MultipartUpload={"Parts": chosen})
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": chosen[:1]})
    assert body_of("small parts") == b"small"
    with refused("InvalidArgument", 400):
        s3.upload_part(**{**target, "Key": "x"}, PartNumber=10001, Body=b"x")
    with refused("NoSuchUpload", 404):
        s3.upload_part(**target, PartNumber=1, Body=b"x")


def an_upload_that_is_given_up():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="given up")
    target = {"Bucket": BUCKET, "Key": "given up", "UploadId": upload["UploadId"]}
    s3.upload_part(**target, PartNumber=1, Body=BODY)
    s3.abort_multipart_upload(**target)
    with refused("NoSuchUpload", 404):
        s3.upload_part(**target, PartNumber=2, Body=BODY)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def checksums_of_parts():
    parts = [b"a" * (5 * MIB), b"b" * 100]
    whole = b"".join(parts)

    def send(kind, algorithm, function):
        name = f"Checksum{algorithm}"
        upload = s3.create_multipart_upload(
            Bucket=BUCKET, Key="checked", ChecksumAlgorithm=algorithm, ChecksumType=kind
        )
        target = {"Bucket": BUCKET, "Key": "checked", "UploadId": upload["UploadId"]}
        sent = []
        for number, part in enumerate(parts, 1):
            answer = s3.upload_part(**target, PartNumber=number, Body=part, ChecksumAlgorithm=algorithm)
            assert answer[name] == base64.b64encode(function(part)).decode(), answer
            sent.append({"PartNumber": number, "ETag": answer["ETag"], name: answer[name]})
        return name, target, sent

    for algorithm, function in (
        ("CRC32", lambda data: zlib.crc32(data).to_bytes(4, "big")),
        ("SHA1", lambda data: hashlib.sha1(data).digest()),
        ("SHA256", lambda data: hashlib.sha256(data).digest()),
    ):
        name, target, sent = send("COMPOSITE", algorithm, function)
        done = s3.complete_multipart_upload(**target, MultipartUpload={"Parts": sent})
        of_parts = function(b"".join(function(part) for part in parts))
        want = f"{base64.b64encode(of_parts).decode()}-2"
        assert done[name] == want, (done, want)
        head = s3.head_object(Bucket=BUCKET, Key="checked", ChecksumMode="ENABLED")
        assert head[name] == want and head["ChecksumType"] == "COMPOSITE"
        assert body_of("checked", ChecksumMode="ENABLED") == whole
    crc32 = lambda data: zlib.crc32(data).to_bytes(4, "big")
    name, target, sent = send("FULL_OBJECT", "CRC32", crc32)
    want = base64.b64encode(crc32(whole)).decode()
    with refused("BadDigest", 400):
        s3.complete_multipart_upload(**target, MultipartUpload={"Parts": sent}, ChecksumCRC32="AAAAAA==")
    done = s3.complete_multipart_upload(**target, MultipartUpload={"Parts": sent}, ChecksumCRC32=want)
    assert done["ChecksumCRC32"] == want and done["ChecksumType"] == "FULL_OBJECT", done
    with refused("InvalidRequest", 400):
        s3.create_multipart_upload(
            Bucket=BUCKET, Key="checked", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT"
        )


def copies_on_the_server():
    odd = "source /+ %2B ü?&=#日本"
    s3.put_object(Bucket=BUCKET, Key=odd, Body=BODY, Metadata={"a": "1"}, ContentType="text/x-source")
    source = {"Bucket": BUCKET, "Key": odd}
    answer = s3.copy_object(Bucket=BUCKET, Key="copied", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
    head = s3.head_object(Bucket=BUCKET, Key="copied")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "text/x-source")
    s3.copy_object(
        Bucket=BUCKET, Key="copied", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"},
        ContentType="text/x-replaced",
    )
    head = s3.head_object(Bucket=BUCKET, Key="copied")
    assert (head["Metadata"], head["ContentType"]) == ({"b": "2"}, "text/x-replaced")
    assert body_of("copied") == BODY
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=BUCKET, Key=odd, CopySource=source)
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "nothing"})
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": "no-such-bucket", "Key": "x"})
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=BUCKET, Key="copied", CopySource=source, CopySourceIfNoneMatch=head["ETag"])
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="copied in parts")
    target = {"Bucket": BUCKET, "Key": "copied in parts", "UploadId": upload["UploadId"]}
    part = s3.upload_part_copy(**target, PartNumber=1, CopySource=source, CopySourceRange="bytes=100-199")
    done = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": done})
    assert body_of("copied in parts") == BODY[100:200]


def listing():
    s3.create_bucket(Bucket="listing")
    keys = ["a", "a/", "a/b", "a/b/c", "a0", "b/1", "b/2", "b/3", "c", "ü/1", "日本", "new\nline", "tab\t", "\x01", "\ufffd", "😀"]
    for key in keys:
        s3.put_object(Bucket="listing", Key=key, Body=key.encode())
    want = sorted(keys, key=lambda key: key.encode())

    def pages(name, **more):
        found, groups = [], []
        for page in s3.get_paginator(name).paginate(Bucket="listing", **more):
            assert len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= more.get("MaxKeys", 1000)
            found += [entry["Key"] for entry in page.get("Contents", [])]
            groups += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        return found, groups

    for name in ("list_objects", "list_objects_v2"):
        for size in (1, 2, 3, 7, 1000):
            assert pages(name, MaxKeys=size) == (want, []), (name, size)
            found, groups = pages(name, MaxKeys=size, Delimiter="/")
            assert groups == ["a/", "b/", "ü/"], (name, size, groups)
            assert found == [key for key in want if "/" not in key], (name, size, found)
        assert pages(name, Prefix="b/")[0] == ["b/1", "b/2", "b/3"]
        assert pages(name, Prefix="a", Delimiter="/") == (["a", "a0"], ["a/"])
        assert pages(name, Delimiter="b")[1] == ["a/b", "b", "tab"]
        assert pages(name, Prefix="nothing") == ([], [])
    after = s3.list_objects_v2(Bucket="listing", StartAfter="b/2")["Contents"]
    assert [entry["Key"] for entry in after] == [key for key in want if key.encode() > b"b/2"]
    assert s3.list_objects(Bucket="listing", Marker="c")["Contents"][0]["Key"] > "c"
    assert s3.list_objects_v2(Bucket="listing", MaxKeys=0)["KeyCount"] == 0
    with_owner = s3.list_objects_v2(Bucket="listing", FetchOwner=True, MaxKeys=1)["Contents"][0]
    assert with_owner["Owner"]["ID"]
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket="listing", ContinuationToken="nonsense")
    for key in keys:
        answer = s3.get_object(Bucket="listing", Key=key)
        assert answer["Body"].read() == key.encode(), key
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket="listing")
    # XML 1.0 cannot carry U+0001, so that one goes alone.
    s3.delete_object(Bucket="listing", Key="\x01")
    for key in keys:
        s3.delete_object(Bucket="listing", Key=key)
    s3.delete_bucket(Bucket="listing")


def deleting_many():
    for number in range(20):
        s3.put_object(Bucket=BUCKET, Key=f"many/{number} & <{number}>", Body=b"")
    keys = [{"Key": f"many/{number} & <{number}>"} for number in range(20)]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [*keys, {"Key": "never there"}]})
    assert len(answer["Deleted"]) == 21
    quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": str(number)} for number in range(1001)]})
    s3.delete_object(Bucket=BUCKET, Key="never there")


def buckets():
    s3.create_bucket(Bucket="one-more")
    assert s3.get_bucket_location(Bucket="one-more")["LocationConstraint"] is None
    s3.head_bucket(Bucket="one-more")
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert names == sorted(names) and "one-more" in names
    with refused("BucketAlreadyOwnedByYou", 409):
        s3.create_bucket(Bucket="one-more")
    with refused("InvalidBucketName", 400):
        s3.create_bucket(Bucket="192.168.0.1")
    s3.delete_bucket(Bucket="one-more")
    with refused("404", 404):
        s3.head_bucket(Bucket="one-more")
    with refused("NoSuchBucket", 404):
        s3.delete_bucket(Bucket="one-more")
    with refused("NoSuchBucket", 404):
        s3.put_object(Bucket="one-more", Key="x", Body=b"")


def presigned_addresses():
    key = "presigned /+ ü"
    put = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key, "ContentType": "text/x-put"}, 60)
    status, answer = fetch(put, "PUT", BODY, {"Content-Type": "text/x-put"})
    assert status == 200, answer
    assert fetch(put, "PUT", BODY, {"Content-Type": "text/x-other"})[0] == 403
    get = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key, "ResponseContentType": "a/b"}, 60)
    assert fetch(get) == (200, BODY)
    assert fetch(get, headers={"Range": "bytes=1-3"}) == (206, BODY[1:4])
    status, answer = fetch(get, "PUT", BODY)
    assert status == 403 and b"SignatureDoesNotMatch" in answer
    short = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, 1)
    time.sleep(2.5)
    status, answer = fetch(short)
    assert status == 403 and b"AccessDenied" in answer and b"expired" in answer, answer
    week = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, 604801)
    assert b"AuthorizationQueryParametersError" in fetch(week)[1]
    status, answer = fetch(f"{ENDPOINT}/{BUCKET}/headers")
    assert status == 403 and b"AccessDenied" in answer


def presigned_addresses_of_the_old_kind():
    client = boto3.client("s3", endpoint_url=ENDPOINT, config=Config(signature_version="s3"))
    address = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "headers"}, 60)
    assert "AWSAccessKeyId" in address
    assert fetch(address) == (200, BODY)


def wrong_keys_and_regions():
    with refused("SignatureDoesNotMatch", 403):
        connect(aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong").list_buckets()
    with refused("InvalidAccessKeyId", 403):
        connect(aws_access_key_id="nobody", aws_secret_access_key="wrong").list_buckets()
    # It learns the region from the refusal and asks again.
    other = boto3.client("s3", endpoint_url=ENDPOINT, region_name="eu-west-1", config=Config(signature_version="s3v4"))
    answer = other.put_object(Bucket=BUCKET, Key="x", Body=b"")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def errors_have_their_codes():
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=BUCKET, Key="nothing")
    with refused("404", 404):
        s3.head_object(Bucket=BUCKET, Key="nothing")
    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket="no-such-bucket")
    with refused("NoSuchUpload", 404):
        s3.abort_multipart_upload(Bucket=BUCKET, Key="x", UploadId="not an id")
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=BUCKET, Key="k" * 1025, Body=b"")
    s3.put_object(Bucket=BUCKET, Key="k" * 1024, Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="k" * 1024)


def versions():
    bucket = boto3.resource("s3", endpoint_url=ENDPOINT, config=Config(s3={"addressing_style": "path"})).Bucket("versioned")
    bucket.create()
    bucket.Versioning().enable()
    assert bucket.Versioning().status == "Enabled"
    ids = [bucket.put_object(Key="k", Body=text).version_id for text in (b"one", b"two", BODY * 2)]
    assert len(set(ids)) == 3
    for version, text in zip(ids, (b"one", b"two", BODY * 2)):
        assert bucket.Object("k").Version(version).get()["Body"].read() == text
    deleted = bucket.Object("k").delete()
    assert deleted["DeleteMarker"], deleted
    assert [summary.key for summary in bucket.objects.all()] == []
    with refused("NoSuchKey", 404):
        bucket.Object("k").get()
    with refused("405", 405):
        s3.head_object(Bucket="versioned", Key="k", VersionId=deleted["VersionId"])
    latest = [version.id for version in bucket.object_versions.all() if version.is_latest]
    assert latest == [deleted["VersionId"]], latest
    bucket.Object("k").Version(deleted["VersionId"]).delete()
    assert bucket.Object("k").get()["VersionId"] == ids[2]
    bucket.Object("k").Version(ids[2]).delete()
    assert bucket.Object("k").get()["Body"].read() == b"two"
    with refused("BucketNotEmpty", 409):
        bucket.delete()
    bucket.object_versions.delete()
    bucket.delete()


def what_is_not_there_says_so():
    calls = {
        "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": []}},
        "put_bucket_tagging": {"Tagging": {"TagSet": []}},
        "put_bucket_cors": {"CORSConfiguration": {"CORSRules": []}},
        "put_bucket_acl": {"ACL": "public-read"},
        "put_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": []}},
        "put_bucket_notification_configuration": {"NotificationConfiguration": {}},
        "put_bucket_website": {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "x"}}},
        "put_object_tagging": {"Key": "headers", "Tagging": {"TagSet": []}},
        "put_object_acl": {"Key": "headers", "ACL": "public-read"},
        "put_object_legal_hold": {"Key": "headers", "LegalHold": {"Status": "ON"}},
        "put_object_retention": {"Key": "headers", "Retention": {"Mode": "GOVERNANCE"}},
        "restore_object": {"Key": "headers", "RestoreRequest": {"Days": 1}},
        "get_object_torrent": {"Key": "headers"},
        "select_object_content": {
            "Key": "headers",
            "Expression": "select * from S3Object",
            "ExpressionType": "SQL",
            "InputSerialization": {"CSV": {}},
            "OutputSerialization": {"CSV": {}},
        },
    }
    for name, arguments in calls.items():
        try:
            with refused("NotImplemented", 501):
                getattr(s3, name)(Bucket=BUCKET, **arguments)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=BUCKET, Key="encrypted", Body=b"", ServerSideEncryption="aws:kms")
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"", Tagging="a=b")
    with refused("404", 404):
        s3.head_object(Bucket=BUCKET, Key="tagged")


def bucket_policies():
    name = f"{BUCKET}-policy"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="open/a", Body=b"open")
    s3.put_object(Bucket=name, Key="closed/a", Body=b"closed")
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=name)
    assert s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"] is False
    grant = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/open/*"}
    policy = {"Version": "2012-10-17", "Statement": [grant]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy, indent=2))
    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == policy
    assert s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"] is True
    anonymous = boto3.client("s3", endpoint_url=ENDPOINT, config=Config(signature_version=botocore.UNSIGNED))
    assert anonymous.get_object(Bucket=name, Key="open/a")["Body"].read() == b"open"
    for key in ("closed/a", "open"):
        with refused("AccessDenied", 403):
            anonymous.get_object(Bucket=name, Key=key)
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=name)
    with refused("AccessDenied", 403):
        anonymous.put_object(Bucket=name, Key="open/b", Body=b"x")
    with refused("MalformedPolicy", 400):
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({**policy, "Statement": [{**grant, "Effect": "?"}]}))
    s3.delete_bucket_policy(Bucket=name)
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=name, Key="open/a")


CHECKS = [
    a_tree_in_and_out,
    a_file_of_over_1_gib,
    metadata_and_content_headers,
    metadata_of_2_kib_is_the_limit,
    ranges,
    conditions_on_reads,
    conditions_on_writes,
    of_many_writers_one_is_first,
    checksums_in_headers,
    content_md5,
    a_signed_payload,
    an_unsigned_payload,
    an_upload_in_parallel_parts,
    parts_that_are_too_small,
    an_upload_that_is_given_up,
    checksums_of_parts,
    copies_on_the_server,
    listing,
    deleting_many,
    buckets,
    bucket_policies,
    presigned_addresses,
    presigned_addresses_of_the_old_kind,
    wrong_keys_and_regions,
    errors_have_their_codes,
    versions,
    what_is_not_there_says_so,
]


def main():
    print(json.dumps({"version": f"boto3 {boto3.__version__}, botocore {botocore.__version__}"}), flush=True)
    s3.create_bucket(Bucket=BUCKET)
    for check in CHECKS:
        begun = time.monotonic()
        error = None
        try:
            check()
        except Exception:
            error = traceback.format_exc()
        seconds = round(time.monotonic() - begun, 2)
        print(json.dumps({"check": check.__name__, "error": error, "seconds": seconds}), flush=True)


main()
