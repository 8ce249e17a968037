"""The published Python library of Momento against Bugle, unchanged. tests/run starts it; by hand:

    target/venv/bin/python tests/momento/python_sdk.py

Needs momento of PyPI, and target/debug/bugle.
"""

import asyncio
import logging
import sys
from datetime import timedelta

import momento
from momento.auth import CredentialProvider
from momento.auth.access_control.disposable_token_scope import DisposableTokenProps
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.auth.access_control.permission_scope import TopicName
from momento.config import Configurations, TopicConfigurations
from momento.config.auth_configurations import AuthConfigurations
from momento.responses import CreateCache, DeleteCache, ListCaches, TopicPublish, TopicSubscribe
from momento.responses.auth.generate_disposable_token import GenerateDisposableToken
from momento.utilities import ExpiresIn

from server import Server

logging.disable(logging.CRITICAL)
TIMEOUT_S = 30
checks = 0


def check(true, what):
    """Counts one thing that has to hold."""
    global checks
    if not true:
        sys.exit(f"failed: {what}")
    checks += 1


def provider(server, key=""):
    host = "127.0.0.1"
    return CredentialProvider(key, host, host, host, server.port)


def topics(server, key="", subscriptions=100):
    configuration = TopicConfigurations.Default.latest().with_max_subscriptions(subscriptions)
    local = CredentialProvider.for_momento_local("127.0.0.1", server.port)
    return momento.TopicClientAsync(configuration, provider(server, key) if key else local)


def caches(server, key=""):
    return momento.CacheClientAsync(Configurations.Laptop.latest(), provider(server, key), timedelta(seconds=60))


async def subscribe(client, cache, topic, **resume):
    heard = await client.subscribe(cache, topic, **resume)
    check(isinstance(heard, TopicSubscribe.SubscriptionAsync), f"{topic}: {heard}")
    return heard


async def publish(client, cache, topic, value):
    sent = await client.publish(cache, topic, value)
    check(isinstance(sent, TopicPublish.Success), f"publish to {topic}: {sent}")


async def item(heard):
    return await asyncio.wait_for(heard.__anext__(), TIMEOUT_S)


def refused(answer, code, what):
    check(getattr(answer, "error_code", None) is not None and answer.error_code.name == code, f"{what}: {answer}")


async def caches_come_and_go(server):
    client = caches(server)
    check(isinstance(await client.create_cache("mine"), CreateCache.Success), "a cache is created")
    check(isinstance(await client.create_cache("mine"), CreateCache.CacheAlreadyExists), "and exists then")
    listed = await client.list_caches()
    check(isinstance(listed, ListCaches.Success) and "mine" in [it.name for it in listed.caches], f"{listed}")
    check(isinstance(await client.delete_cache("mine"), DeleteCache.Success), "it is deleted")
    refused(await client.delete_cache("mine"), "NOT_FOUND_ERROR", "and is not there then")


async def values_are_heard_as_they_were_sent(server):
    client = topics(server)
    heard = await subscribe(client, "kept", "values")
    for value in ["text", b"\xff\x00", "größe", b""]:
        await publish(client, "kept", "values", value)
    for sequence, value in enumerate(["text", b"\xff\x00", "größe", b""], 1):
        got = await item(heard)
        check((got.value, got.sequence_number) == (value, sequence), f"{value!r}: {got}")
    resumed = await subscribe(client, "kept", "values", resume_at_topic_sequence_number=2,
                              resume_at_topic_sequence_page=got.sequence_page)
    check((await item(resumed)).sequence_number == 2, "a resume is inclusive")
    fresh = await subscribe(client, "kept", "values")
    check((await item(fresh)).sequence_number == 4, "a fresh subscription begins with the newest")
    other = await subscribe(client, "kept", "values", resume_at_topic_sequence_number=3,
                            resume_at_topic_sequence_page=7)
    check((await item(other)).sequence_number == 1, "behind a discontinuity comes what is retained")
    await client.close()


async def both_apis_are_one_bus(server):
    client = topics(server)
    heard = await subscribe(client, "kept", "both")
    server.publish("kept", "both", "typed", "--content-type=text/plain")
    server.publish("kept", "both", "untyped")
    check((await item(heard)).value == "typed", "text of the command line is text")
    check((await item(heard)).value == b"untyped", "and what has no type is binary")
    await client.close()


async def what_is_not_there_is_not_found(server):
    client = topics(server)
    refused(await client.subscribe("nowhere", "t"), "NOT_FOUND_ERROR", "subscribe to no cache")
    refused(await client.publish("nowhere", "t", "x"), "NOT_FOUND_ERROR", "publish to no cache")
    refused(await client.publish("kept", "t", "x" * 2_000_000), "LIMIT_EXCEEDED_ERROR", "a message too large")
    await client.close()


async def a_thousand_subscriptions(server):
    client = topics(server, subscriptions=1000)
    all_of_them = await asyncio.gather(*[subscribe(client, "kept", "many") for _ in range(1000)])
    await publish(client, "kept", "many", "to all")
    heard = await asyncio.gather(*[item(one) for one in all_of_them])
    check([it.value for it in heard] == ["to all"] * 1000, "each hears it")
    await client.close()


async def a_restart_is_a_new_page(server):
    client = topics(server)
    heard = await subscribe(client, "kept", "restart")
    await publish(client, "kept", "restart", "before")
    before = await item(heard)
    heard.unsubscribe()
    await client.close()
    server.restart()
    client = topics(server)
    await publish(client, "kept", "restart", "after")
    heard = await subscribe(client, "kept", "restart", resume_at_topic_sequence_number=before.sequence_number + 1,
                            resume_at_topic_sequence_page=before.sequence_page)
    after = await item(heard)
    check(after.value == "after" and after.sequence_page > before.sequence_page, f"{after}")
    await client.close()


async def tokens_do_what_they_are_for(server):
    root = caches(server, server.key)
    check(isinstance(await root.create_cache("cache"), CreateCache.Success), "the key may create caches")
    refused(await caches(server).create_cache("x"), "AUTHENTICATION_ERROR", "nobody may not")
    auth = momento.AuthClientAsync(AuthConfigurations.Laptop.latest(), provider(server, server.key))

    async def token(scope, props=None):
        made = await auth.generate_disposable_token(scope, ExpiresIn.minutes(5), props)
        check(isinstance(made, GenerateDisposableToken.Success), f"{made}")
        # As their libraries are given it: it says where the server is.
        check(CredentialProvider.from_disposable_token(made.auth_token).cache_endpoint.startswith("cache.127.0.0.1"),
              "a token names its server")
        return topics(server, CredentialProvider.from_disposable_token(made.auth_token).auth_token)

    reader = await token(DisposableTokenScopes.topic_subscribe_only("cache", TopicName("t")))
    writer = await token(DisposableTokenScopes.topic_publish_only("cache", TopicName("t")),
                         DisposableTokenProps(token_id="sensor-7"))
    both = await token(DisposableTokenScopes.topic_publish_subscribe("cache", TopicName("t")))
    heard = await subscribe(reader, "cache", "t")
    refused(await reader.publish("cache", "t", "x"), "PERMISSION_ERROR", "a reader publishes")
    await publish(writer, "cache", "t", "written")
    refused(await writer.subscribe("cache", "t"), "PERMISSION_ERROR", "a writer subscribes")
    refused(await writer.publish("cache", "u", "x"), "PERMISSION_ERROR", "another topic")
    await publish(both, "cache", "t", "both")
    check([(await item(heard)).value for _ in range(2)] == ["written", "both"], "what was allowed is heard")
    for scope, props in [
        (DisposableTokenScopes.cache_read_only("cache"), None),
        (DisposableTokenScopes.topic_subscribe_only("cache", TopicName("t")), DisposableTokenProps(token_id="x" * 65)),
    ]:
        made = await auth.generate_disposable_token(scope, ExpiresIn.minutes(5), props)
        refused(made, "INVALID_ARGUMENT_ERROR", "no permissions for topics, or a long id")
    for client in [reader, writer, both]:
        await client.close()


async def main():
    with Server("--namespace", "kept") as server:
        for subject in [caches_come_and_go, values_are_heard_as_they_were_sent, both_apis_are_one_bus,
                        what_is_not_there_is_not_found, a_thousand_subscriptions, a_restart_is_a_new_page]:
            await subject(server)
    with Server(guarded=True) as server:
        await tokens_do_what_they_are_for(server)
    print(f"test result: ok. {checks} checks of the Python library")


asyncio.run(main())
