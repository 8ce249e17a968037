//! Every cap of the bus, with its unit and its reason. Nothing that a client can make grow is
//! without one. What an operator may change is an option in `config`, and its default is here.

mod webhook;

use std::time::Duration;

pub use webhook::*;

// ---- names and fields of a request -------------------------------------------------------------

/// Longest namespace name, bytes: it is part of every topic's key and of metric labels.
pub const NAMESPACE_BYTES_MAX: usize = 128;
/// Longest topic name, bytes: long enough for a path of ids, short enough for a map key.
pub const TOPIC_BYTES_MAX: usize = 512;
/// A message id is a UUID, bytes.
pub const ID_BYTES: usize = 16;
/// Longest ordering key, bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest content type, bytes: RFC 6838 names are at most 127 + 1 + 127, the rest is parameters.
pub const CONTENT_TYPE_BYTES_MAX: usize = 512;
/// A W3C `traceparent` of version 00 is exactly 55 bytes; later versions may append.
pub const TRACEPARENT_BYTES_MAX: usize = 128;
/// W3C asks carriers to keep at least 512 bytes of `tracestate`.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// How often streams are looked at whose caller's credential may have expired or been revoked.
pub const STAYS_CHECKED_EVERY: Duration = Duration::from_secs(1);
/// Refusals a second that the audit tells of: whoever is refused can ask as often as it likes.
pub const AUDITED_REFUSALS_PER_SECOND_MAX: u64 = 100;
/// Longest name of a principal, bytes: it is stored with every message that it publishes.
pub const PRINCIPAL_BYTES_MAX: usize = 256;
/// Most attributes of one message: they are headers, not a second payload.
pub const ATTRIBUTES_MAX: usize = 64;
/// Longest attribute name, bytes.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 128;
/// Longest attribute value, bytes.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 4096;
/// Most messages in one batch: a batch is ordered under the topic's lock, and this bounds it.
pub const BATCH_MESSAGES_MAX: usize = 10_000;
/// Largest publish request, bytes, and so the largest batch and payload: the default of
/// `limits.max_message_bytes`.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The most `limits.max_message_bytes` can be set to, bytes: one batch has to fit one chunk of
/// memory, and a response to a subscriber.
pub const MESSAGE_BYTES_CEILING: usize = 64 * 1024 * 1024;
/// Most entries of one page of an Admin listing.
pub const PAGE_SIZE_MAX: usize = 1000;
/// Entries of a page when the request does not say.
pub const PAGE_SIZE_DEFAULT: usize = 100;

// ---- the log -----------------------------------------------------------------------------------

/// First chunk of a topic's log, bytes: small, so that a million quiet topics stay small.
pub const CHUNK_BYTES_MIN: usize = 256;
/// Chunks double up to this size, bytes: large enough that slices are whole DATA frames.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// One entry of the sparse index for so many bytes of log: a resume walks at most this far.
pub const INDEX_STRIDE_BYTES: usize = 4 * 1024;
/// What a topic retains when nothing else is said, bytes.
pub const RETENTION_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// What a topic retains when nothing else is said, messages.
pub const RETENTION_MESSAGES_DEFAULT: u64 = 1_000_000;
/// What a topic retains when nothing else is said, age.
pub const RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(60 * 60);

// ---- memory ------------------------------------------------------------------------------------

/// The global budget is this part of the memory the process may use, cgroup included.
pub const MEMORY_BUDGET_DIVISOR: u64 = 4;
/// Smallest budget that can be configured, bytes: below it not even the largest batch fits.
pub const MEMORY_BUDGET_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// What an open topic costs beside its log, bytes; charged to the budget so that names alone
/// cannot fill the memory.
pub const TOPIC_OVERHEAD_BYTES: usize = 768;
/// What an open subscription costs, bytes; charged to the budget for the same reason.
pub const SUBSCRIPTION_OVERHEAD_BYTES: usize = 4 * 1024;
/// Most namespaces: each is a map and a line in every listing.
pub const NAMESPACES_MAX: usize = 10_000;
/// Positions remembered for topics that were closed while idle, so that a resume finds its epoch.
pub const CLOSED_TOPICS_MAX: usize = 65_536;

// ---- delivery ----------------------------------------------------------------------------------

/// Upper bound of one response to a subscriber, bytes, when it does not ask for less.
pub const BATCH_BYTES_DEFAULT: usize = 256 * 1024;
/// Most a subscriber can ask for in one response, bytes.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Up to so many readers are woken by the publisher itself; more are the scheduler's work.
#[cfg(not(bugle_loom))]
pub const FANOUT_INLINE_MAX: usize = 4;
/// In the models, where every thread multiplies the schedules, two readers are many.
#[cfg(bugle_loom)]
pub const FANOUT_INLINE_MAX: usize = 1;
/// The scheduler wakes so many readers of a topic, then looks after the next topic.
#[cfg(not(bugle_loom))]
pub const FANOUT_RUN: usize = 256;
/// In the models a pass takes several runs, so that others come in between.
#[cfg(bugle_loom)]
pub const FANOUT_RUN: usize = 1;
/// Traced batches of a topic whose fan-out is followed at once; the spans of more tell of no readers.
pub const FANNING_OUT_MAX: usize = 64;
/// The resolution of heartbeats and of the stall sweep.
pub const TICK: Duration = Duration::from_millis(100);
/// A live subscription hears something this often when the client does not say.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(15);
/// A subscription of a Momento client hears something this often: its library gives up on streams that
/// are silent for a few seconds.
pub const MOMENTO_HEARTBEAT_DEFAULT: Duration = Duration::from_secs(1);
/// Records that are encoded for a Momento client at once, bytes: a few DATA frames' worth, for each
/// subscription that does not read keeps so many.
pub const MOMENTO_BATCH_BYTES: usize = 64 * 1024;
/// Shortest heartbeat a client can ask for.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// Longest heartbeat a client can ask for.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(600);
/// A subscriber with data pending that makes no progress for this long is cut.
pub const STALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// An empty topic without subscriptions is closed after this long.
pub const IDLE_CLOSE_DEFAULT: Duration = Duration::from_secs(300);
/// Requests of one PublishStream that may be in work at once; their bytes are bounded by the
/// stream's flow-control window.
pub const PUBLISH_PIPELINE_MAX: usize = 256;
/// What a stream of publishes has to read and to write with until a message needs more, bytes: ten thousand that
/// say nothing are a few megabytes.
pub const PUBLISH_BUFFER_BYTES: usize = 256;
/// So many bytes of responses are sent at once, as tonic would.
pub const PUBLISH_YIELD_BYTES: usize = 32 * 1024;

// ---- connections -------------------------------------------------------------------------------

/// Connections at once, the default of `limits.max_connections`.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Connections that may wait to be accepted, as when all clients come back at once; the system's own
/// limit (net.core.somaxconn, 4096 by default) may be lower.
pub const LISTEN_BACKLOG: u32 = 16_384;
/// Connections that have not sent their first request yet.
pub const HANDSHAKES_MAX: usize = 1_024;
/// From accept to the first request, or the connection is closed.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Streams at once on one connection: some clients put a thousand subscriptions on one.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 10_000;
/// Header list of one request, bytes.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Flow-control window of a connection, bytes. Half of it is h2's budget for small DATA frames
/// (h2#939), and it has to be much larger than a stream's, so that one unread stream blocks nobody.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Flow-control window of a stream, bytes.
pub const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// Largest HTTP/2 frame we accept, bytes: fewer, larger frames cost less.
pub const FRAME_BYTES_MAX: u32 = 256 * 1024;
/// Bytes buffered per stream below the response body; h2's default is 400 KB.
pub const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2 ping after this long without a frame, so that half-open peers are noticed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// A ping not answered in this time ends the connection.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Buffers of a WebSocket, bytes each way: many may be open and idle.
pub const WEBSOCKET_BUFFER_BYTES: usize = 4 * 1024;
/// Largest message that a client publishes on a WebSocket, bytes: it is held, outside of the memory budget,
/// until it is whole. Larger ones are posted.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// For the goodbye of a WebSocket to be sent.
pub const WEBSOCKET_CLOSE_MAX: Duration = Duration::from_secs(1);
/// Longest reason of the end of a WebSocket, bytes: it is in a control frame.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;
/// Bytes of messages that a subscription over HTTP is given at once: written as JSON they may be six times
/// as many, and those are held until they are sent.
pub const HTTP_BATCH_BYTES: usize = 32 * 1024;
/// From the end of one request of HTTP/1 to the last byte of the next one's head: clients keep a connection
/// for the next request about that long.
pub const HTTP1_HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// From the head of a request in HTTP to the last byte of its body: a megabyte on a slow line.
pub const HTTP_BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Buffers of a connection of HTTP/1, bytes each way: a head of 16 KiB fits, and so does a frame of an answer.
pub const HTTP1_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Headers of one request of HTTP/1: as many attributes as a message may have, and those that clients send.
pub const HTTP1_HEADERS_MAX: usize = 128;
/// Shortest wait after the process ran out of file descriptors; doubles up to the longest.
pub const ACCEPT_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest wait after the process ran out of file descriptors.
pub const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Connections that are accepted before all others have their turn: each takes some ten microseconds to greet.
pub const ACCEPTS_PER_TURN: u64 = 8;
/// From the first signal to the end of the process, at most.
pub const DRAIN_GRACE_DEFAULT: Duration = Duration::from_secs(10);

// ---- quotas and admission ----------------------------------------------------------------------

/// Most rules of quotas: all are looked at when a namespace or a principal is first seen.
pub const QUOTA_RULES_MAX: usize = 1_000;
/// Principals whose use is known at once, a few hundred bytes each: more than connections by default,
/// for each may be somebody else. Those that use nothing are forgotten first.
pub const QUOTA_PRINCIPALS_MAX: usize = 131_072;
/// When to come back for what is not a matter of time: a place that others have to give up first.
pub const QUOTA_RETRY: Duration = Duration::from_secs(1);
/// Requests over a quota that are answered in a second, for each namespace or principal; further ones
/// wait for their turn, at most a second: so one stream hears as many as [`PUBLISH_PIPELINE_MAX`], a
/// little more, in a second. Each is a wake-up, a read and a write, some tens of
/// microseconds of the core that others are served by; so many are a few thousandths of it, and whoever
/// does not slow down by itself is slowed down by them.
pub const QUOTA_REFUSALS_PER_SECOND: u64 = 100;
/// Calls at once on all connections together, the default of `limits.max_streams`: each costs from 2
/// to 8 kB beside the memory budget, so 2 GB at the most.
pub const STREAMS_MAX: u64 = 250_000;
/// Calls that a connection may have open on a server that is nearly full; further ones only where as many
/// are left for others. A few connections with the most calls each would keep everybody else out.
pub const STREAMS_EACH: u64 = 16;
/// One in so many of `limits.max_streams` is for connections with few calls alone.
pub const STREAMS_RESERVE: u64 = 4;
/// Bytes of requests that have come in part, the default of `limits.max_publish_bytes_in_flight`: a
/// thousand publishers halfway through a batch of 256 KiB. It has a cap of its own because the memory
/// budget alone would let requests that are never finished push out the messages of everybody.
pub const PUBLISH_BYTES_IN_FLIGHT_MAX: u64 = 256 * 1024 * 1024;
/// Connections a second from one address, the default of `limits.connections_per_second_per_address`.
/// With [`ADDRESS_BURST_SECONDS`] a host that comes back with 20,000 connections at once meets no
/// limit, and it takes longer to greet so many than the next 20,000 have to wait; whoever opens and
/// closes connections without end is kept to what a core can greet beside its other work.
pub const CONNECTIONS_PER_SECOND_PER_ADDRESS: u64 = 2_000;
/// So many seconds' worth of connections may come from an address at once.
pub const ADDRESS_BURST_SECONDS: u64 = 10;
/// Addresses whose rate is known at once, 32 bytes each. Those that would be allowed everything again
/// are forgotten first; where all are busy, a new address is not limited by itself: the global caps
/// are for floods from that many.
pub const ADDRESSES_MAX: usize = 65_536;
/// Connections of one address that have not sent their first request, the default of
/// `limits.max_handshakes_per_address`; more wait, without a place among
/// [`HANDSHAKES_MAX`], so that one silent host leaves most of those to others.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 256;
/// An IPv6 host has a network of so many bits to itself and may use any address of it.
pub const IPV6_HOST_BITS: u32 = 64;

// ---- what the server tells of itself -----------------------------------------------------------

/// Topics with series of their own, the default of `metrics.topics`: each is eight series, and a
/// store of metrics pays for every one.
pub const METRIC_TOPICS_DEFAULT: u64 = 100;
/// The most `metrics.topics` can be set to: OpenTelemetry's library keeps 2,000 series an instrument.
pub const METRIC_TOPICS_MAX: u64 = 1_500;
/// How often metrics are pushed when nothing else is said: the default of OpenTelemetry.
pub const PUSH_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// The part of the messages without a parent that begin a trace, when nothing else is said.
pub const TRACE_RATIO_DEFAULT: f64 = 0.01;
/// Traces a second of each topic that are begun in any case, so that a quiet topic is seen too.
pub const TOPIC_TRACES_FLOOR_DEFAULT: u64 = 1;
/// Most traces a second of each topic begun without a parent, when nothing else is said.
pub const TOPIC_TRACES_CAP_DEFAULT: u64 = 20;
/// The most that either of them can be set to.
pub const TOPIC_TRACES_MAX: u64 = 1_000_000;
/// Spans a second when nothing else is said, so that whoever traces everything on a busy bus spends
/// a bounded part of it on that.
pub const SPANS_PER_SECOND_DEFAULT: u64 = 50_000;
/// The most `traces.spans_per_second` can be set to.
pub const SPANS_PER_SECOND_MAX: u64 = 10_000_000;
/// Longest log filter, bytes: every line of the log walks it once.
pub const LOG_FILTER_BYTES_MAX: usize = 4096;
/// Spans that wait for the exporter; more are dropped and counted.
pub const SPANS_QUEUED_MAX: usize = 32_768;
/// Spans of one export request, about 50 KiB: while the kernel sends a larger one, it gives the
/// processor to nobody, and a message waits (p99 at 30,000 spans a second 1.35 times that without
/// tracing with 512, 1.0 times with 128).
pub const SPANS_EXPORTED_MAX: usize = 128;
/// Memory of the spans that wait for the exporter, bytes; beside the memory budget.
pub const SPANS_QUEUED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest text of a span, such as why a request was refused, bytes: clients choose some.
pub const SPAN_TEXT_BYTES_MAX: usize = 1024;
/// Counters by which topics are sampled, eight bytes each; a topic's is found by its name's hash.
pub const SAMPLER_SLOTS: usize = 65_536;
/// `deliver` spans for one response: one for each traced batch in it.
pub const DELIVER_SPANS_MAX: usize = 128;
/// Probes that wait at once.
pub const PROBES_MAX: usize = 64;
/// Spans a second for each kind of trouble (stalls, refusals, …), which clients can cause.
pub const EVENT_SPANS_PER_SECOND_MAX: u64 = 10;
/// Links of a span: the default limit of OpenTelemetry.
pub const SPAN_LINKS_MAX: usize = 128;
/// Spans of a probe, of a topic with many subscriptions.
pub const PROBE_SPANS_MAX: usize = 1_024;
/// Longest that a probe waits for its deliveries.
pub const PROBE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a probe waits when the request does not say.
pub const PROBE_WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// How often spans are exported, unless many wait.
pub const SPANS_EXPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Longest that the end of the server waits for the last spans and metrics.
pub const TELEMETRY_END_MAX: Duration = Duration::from_secs(2);
/// Connections at once to the endpoint for metrics and health: scrapers and probes are few.
pub const METRICS_CONNECTIONS_MAX: usize = 64;
/// From the start of a connection to that endpoint to the end of its one answer: the longest that
/// scrapers wait by default.
pub const METRICS_CONNECTION_MAX: Duration = Duration::from_secs(10);

// ---- who calls ---------------------------------------------------------------------------------

/// Longest credential, bytes: a JWT with many claims fits, and half of a request's header list.
pub const CREDENTIAL_BYTES_MAX: usize = 8 * 1024;
/// Longest pattern of names in policies and grants, bytes: the longest name, and its `*`.
pub const PATTERN_BYTES_MAX: usize = TOPIC_BYTES_MAX + 1;
/// Longest name of a role, bytes: an issuer's name is part of some.
pub const ROLE_BYTES_MAX: usize = 256;
/// Most policies, and most roles: a decision looks at those of one principal, at worst at all.
pub const POLICIES_MAX: usize = 10_000;
/// Most members of one role that the configuration names.
pub const ROLE_MEMBERS_MAX: usize = 10_000;
/// Rules that an explanation cites as the nearest where none decides: more would bury them.
pub const NEAREST_RULES_MAX: usize = 3;
/// Most issuers of JWTs: each may have its key set asked for over the network.
pub const ISSUERS_MAX: usize = 100;
/// Most API keys: all of them are read, and written, as one file.
pub const KEYS_MAX: usize = 10_000;
/// Largest file of API keys, bytes: room for the most keys with the longest names.
pub const KEYS_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most roles that one API key has.
pub const KEY_ROLES_MAX: usize = 32;
/// The part of an API key that names it, bytes: random, so that nobody names the same twice.
pub const KEY_ID_BYTES: usize = 16;
/// The part of an API key that proves it, bytes: nobody guesses 256 random bits.
pub const KEY_SECRET_BYTES: usize = 32;
/// Shortest secret that signs tokens, bytes: as long as the hash it is used with.
pub const SECRET_BYTES_MIN: usize = 32;
/// Largest file with a secret, a public key, bytes: a longer one is some other file.
pub const SECRET_FILE_BYTES_MAX: usize = 4096;
/// Shortest life of a disposable token.
pub const TOKEN_TTL_MIN: Duration = Duration::from_secs(1);
/// Longest life of a disposable token: it cannot be revoked by itself.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of a disposable token when the request does not say.
pub const TOKEN_TTL_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// Control frames of HTTP/2 a second that are read of one connection: pings, settings, priorities. A client that
/// measures its bandwidth pings with every round trip while data comes; nobody needs more.
pub const CONTROL_FRAMES_PER_SECOND: u32 = 1_000;
/// So many are read at once: few, so that a new connection for each burst is no way around it.
pub const CONTROL_FRAMES_BURST: u32 = 200;
/// Frames of data that are read of a connection before the others of its thread have their turn: about
/// a millisecond's work.
pub const TURN_DATA_FRAMES: u32 = 2_048;
/// Calls of one turn: each is a task, and whoever wants something waits behind those of all connections.
pub const TURN_CALLS: u32 = 8;
/// Other frames of one turn.
pub const TURN_OTHER_FRAMES: u32 = 64;
/// Bytes that are read at once of a connection that sends more calls than that: a call takes a hundred.
pub const CROWDED_READ_BYTES: usize = 1024;
/// Reads of one turn: less than the 128 that Tokio allows a task, so that it still may write.
pub const TURN_READS: u32 = 64;
/// Tasks that may wait for a thread before calls and connections are taken more slowly than they end, beside the
/// 256 that each thread keeps in a queue of its own.
pub const TASKS_WAITING_MAX: usize = 128;
/// After so many tasks of its own a thread takes one of those that wait for any: what healthy clients want
/// waits there too once a flood has filled the queues of threads, and Tokio's own choice is up to 61.
pub const GLOBAL_QUEUE_INTERVAL: u32 = 8;
/// Calls of a connection after which it is looked whether so many wait.
pub const CALLS_PER_LOOK: u32 = 16;
/// Until it is looked again.
pub const BEHIND_WAIT: Duration = Duration::from_millis(1);
/// Calls that are read of a connection whose answers wait for the other end to read, beside those that it
/// makes room for by reading: each keeps some kilobytes until its answer is gone.
pub const CALLS_BEHIND_MAX: u32 = 512;
/// How often the files of TLS are looked at: soon enough for whoever renews them, seldom enough for a disk. They
/// are used when two looks have seen the same.
pub const TLS_FILES_CHECKED_EVERY: Duration = Duration::from_secs(1);
/// Longest id of a disposable token, bytes: it is part of a principal's name.
pub const TOKEN_ID_BYTES_MAX: usize = 64;
/// Most grants of one disposable token: they travel with every call.
pub const GRANTS_MAX: usize = 16;
/// Largest set of keys that an issuer publishes, bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// Most keys of one such set.
pub const KEY_SET_KEYS_MAX: usize = 100;
/// Keys of a set that one JWT is tried against: more than one have the same id only while an issuer
/// changes them.
pub const KEY_SET_TRIES_MAX: usize = 4;
/// Shortest RSA key that verifies JWTs, bits: RFC 7518 asks for it, and shorter ones are being factored.
pub const RSA_BITS_MIN: usize = 2048;
/// Longest RSA key that verifies JWTs, bits: the work grows with the square, and anybody can ask for it.
pub const RSA_BITS_MAX: usize = 8192;
/// Most that the clocks of an issuer and of this server may differ by.
pub const LEEWAY_MAX: Duration = Duration::from_secs(300);
/// What they may differ by when nothing else is said.
pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(30);
/// How often the key set of an issuer is asked for.
pub const KEY_SET_INTERVAL: Duration = Duration::from_secs(300);
/// A key set is asked for again at once when a JWT names a key that is not in it, and not more often
/// than this: whoever makes JWTs up chooses what they name.
pub const KEY_SET_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// From asking for a key set to its last byte.
pub const KEY_SET_DEADLINE: Duration = Duration::from_secs(10);
/// The start waits this long for key sets; calls that need them are refused until they are there.
pub const KEY_SET_START_MAX: Duration = Duration::from_secs(5);
