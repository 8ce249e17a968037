"""A generic gRPC client of another implementation: it knows nothing but the server's address.

Lists and calls everything by reflection, in version v1 and v1alpha, and looks at the details of the
refusals. tests/run starts it with a server; by hand: python generic_client.py 127.0.0.1:7600
tests/scrape makes its load with the same classes. Needs grpcio, grpcio-reflection and grpcio-status.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

TIMEOUT_S = 10
checks = 0


def check(true, what):
    """Counts one thing that has to hold."""
    global checks
    if not true:
        sys.exit(f"failed: {what}")
    checks += 1


class Reflection:
    """What the server says about itself, in one version of the reflection service."""

    def __init__(self, channel, version):
        # Both versions have the same messages; only the path differs.
        self.call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self.pool = descriptor_pool.DescriptorPool()
        self.known = set()

    def ask(self, **request):
        request = reflection_pb2.ServerReflectionRequest(**request)
        return next(self.call(iter([request]), timeout=TIMEOUT_S))

    def services(self):
        return [service.name for service in self.ask(list_services="").list_services_response.service]

    def load(self, answer):
        files = [descriptor_pb2.FileDescriptorProto.FromString(text)
                 for text in answer.file_descriptor_response.file_descriptor_proto]
        check(files, f"a file for {answer.original_request}")
        for file in files:
            self.add(file, {other.name: other for other in files})

    def add(self, file, others):
        if file.name in self.known:
            return
        self.known.add(file.name)
        for name in file.dependency:
            if name in others:
                self.add(others[name], others)
            else:
                self.load(self.ask(file_by_filename=name))
        self.pool.Add(file)

    def service(self, name):
        self.load(self.ask(file_containing_symbol=name))
        return self.pool.FindServiceByName(name)


class Service:
    """Calls the methods of a service with what reflection tells of them."""

    def __init__(self, channel, descriptor):
        self.channel, self.descriptor = channel, descriptor

    def __call__(self, method, *requests, **fields):
        method = self.descriptor.methods_by_name[method]
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        kind = ("stream" if method.client_streaming else "unary") + "_" + (
            "stream" if method.server_streaming else "unary")
        call = getattr(self.channel, kind)(
            f"/{self.descriptor.full_name}/{method.name}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        if method.client_streaming:
            return call(iter([request_type(**each) for each in requests]), timeout=TIMEOUT_S)
        return call(request_type(**fields), timeout=TIMEOUT_S)


def refusal(act):
    """The code, the message and the details of a call that has to fail."""
    try:
        answer = act()
        if hasattr(answer, "__next__"):
            list(answer)
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        return error.code(), error.details(), status.details if status else []
    sys.exit("failed: a call that should be refused was not")


def unpack(details, kind):
    for detail in details:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            return message
    sys.exit(f"failed: no {kind.DESCRIPTOR.name} in the details")


def administer(admin, name):
    admin("CreateNamespace", namespace={"namespace": name})
    listed = admin("ListNamespaces").namespaces
    check(name in [each.namespace for each in listed], "the namespace is listed")
    topic = admin("CreateTopic", topic={"namespace": name, "topic": "calls", "retention": {"max_messages": 100}})
    check(topic.next_sequence >= 1 and topic.epoch > 0, "a topic has an epoch and a sequence")
    admin("UpdateTopic", topic={"namespace": name, "topic": "calls", "retention": {"max_messages": 200}})
    topic = admin("GetTopic", namespace=name, topic="calls")
    check(topic.retention.max_messages == 200, "the retention is changed")
    topics = admin("ListTopics", namespace=name).topics
    check([each.topic for each in topics] == ["calls"], "the topic is listed")


def deliver(bus, name):
    messages = [{"payload": f"call {number}".encode(), "key": "k", "attributes": {"a": "b"}} for number in range(3)]
    receipt = bus("Publish", namespace=name, topic="calls", messages=messages)
    check(receipt.last_sequence - receipt.first_sequence == 2, "a batch is consecutive")
    batches = [{"namespace": name, "topic": "calls", "messages": [{"payload": b"streamed"}]},
               {"namespace": name, "topic": "", "messages": [{"payload": b"refused"}]},
               {"namespace": name, "topic": "calls", "messages": [{"payload": b"streamed too"}]}]
    answers = list(bus("PublishStream", *batches))
    check([each.status.code for each in answers] == [0, 3, 0], "a refused batch does not end the stream")

    stream = bus("Subscribe", namespace=name, topic="calls", start={"earliest": True},
                 heartbeat_interval={"nanos": 200_000_000})
    kinds, payloads = [], []
    for response in stream:
        payloads += [message.payload for message in response.messages]
        kinds += [field.name for field, _ in response.ListFields()]
        if kinds[-1] == "heartbeat":
            stream.cancel()
            break
    check(kinds[0] == "opened", "the first response is Opened")
    check(payloads == [b"call 0", b"call 1", b"call 2", b"streamed", b"streamed too"], f"all in order: {payloads}")
    check(kinds[-2:] == ["caught_up", "heartbeat"], f"caught up, then heartbeats: {kinds}")


def refuse(bus, admin, name):
    code, text, details = refusal(lambda: bus("Publish", namespace=name, topic="", messages=[{}]))
    check(code == grpc.StatusCode.INVALID_ARGUMENT, f"an empty topic is refused: {code}")
    field = unpack(details, error_details_pb2.BadRequest).field_violations[0]
    check(field.field == "topic" and field.description, "the refusal names the field")
    code, text, details = refusal(
        lambda: bus("Publish", namespace=name, topic="calls", messages=[{}, {"id": b"short"}]))
    field = unpack(details, error_details_pb2.BadRequest).field_violations[0]
    check(field.field == "messages[1].id", f"the refusal names the message: {field.field}")
    code, text, details = refusal(lambda: bus("Subscribe", namespace="nowhere", topic="calls"))
    check(code == grpc.StatusCode.NOT_FOUND and "nowhere" in text, f"an unknown namespace: {code} {text}")
    check(unpack(details, error_details_pb2.ErrorInfo).reason, "the refusal has a reason for programs")
    admin("DeleteTopic", namespace=name, topic="calls")
    admin("DeleteNamespace", namespace=name)
    code, _, _ = refusal(lambda: admin("GetTopic", namespace=name, topic="calls"))
    check(code == grpc.StatusCode.NOT_FOUND, "what is deleted is gone")


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        grpc.channel_ready_future(channel).result(timeout=TIMEOUT_S)
        for version in ["v1", "v1alpha"]:
            reflection = Reflection(channel, version)
            services = reflection.services()
            for name in ["bugle.v1.Bus", "bugle.v1.Admin", "bugle.v1.Monitor", "grpc.health.v1.Health"]:
                check(name in services, f"{name} is listed by {version}")
            bus = Service(channel, reflection.service("bugle.v1.Bus"))
            admin = Service(channel, reflection.service("bugle.v1.Admin"))
            health = Service(channel, reflection.service("grpc.health.v1.Health"))
            check(health("Check", service="bugle.v1.Bus").status == 1, "the bus is SERVING")
            name = f"generic-{version}"
            administer(admin, name)
            deliver(bus, name)
            refuse(bus, admin, name)
    print(f"test result: ok. {checks} checks of a generic gRPC client")


if __name__ == "__main__":
    main()
