//! Caches: the namespaces of the bus.

use super::unary::Call;
use super::{Momento, convert};
use crate::api::audit;
use crate::auth::{Action, Resource};
use crate::error::Result;
use crate::limits::PAGE_SIZE_DEFAULT;
use crate::proto::momento::control_client::{
    Cache, CreateCacheRequest, CreateCacheResponse, DeleteCacheRequest, DeleteCacheResponse,
    FlushCacheRequest, FlushCacheResponse, ListCachesRequest, ListCachesResponse, TopicLimits,
};
use crate::topic::Namespace;

/// Makes a cache.
pub async fn create(
    momento: Momento,
    call: Call,
    request: CreateCacheRequest,
) -> Result<CreateCacheResponse> {
    let cache = administered(&momento, &call, &request.cache_name)?;
    momento.host.broker.create_namespace(&cache)?;
    has(&call, "namespace.created", &cache);
    Ok(CreateCacheResponse {})
}

/// Deletes a cache with its topics.
pub async fn delete(
    momento: Momento,
    call: Call,
    request: DeleteCacheRequest,
) -> Result<DeleteCacheResponse> {
    let cache = administered(&momento, &call, &request.cache_name)?;
    momento.host.broker.delete_namespace(&cache)?;
    has(&call, "namespace.deleted", &cache);
    Ok(DeleteCacheResponse {})
}

/// Drops what a cache's topics retain.
pub async fn flush(momento: Momento, call: Call, request: FlushCacheRequest) -> Result<FlushCacheResponse> {
    let cache = administered(&momento, &call, &request.cache_name)?;
    momento.host.broker.flush_namespace(&cache)?;
    has(&call, "namespace.flushed", &cache);
    Ok(FlushCacheResponse {})
}

/// Lists the caches that the caller may see.
pub async fn list(momento: Momento, call: Call, request: ListCachesRequest) -> Result<ListCachesResponse> {
    let (host, mut after, mut caches) = (&momento.host, request.next_token, Vec::new());
    let sees = |cache: &Namespace| {
        host.rights.allow(call.caller.identity(), Action::Subscribe, Resource::Within(cache))
    };
    loop {
        let page = host.broker.list_namespaces(&after, PAGE_SIZE_DEFAULT);
        let is_last = page.len() < PAGE_SIZE_DEFAULT;
        after = page.last().map_or_else(String::new, |(last, _)| last.to_string());
        caches.extend(page.into_iter().map(|(name, _)| name).filter(sees));
        if is_last {
            after.clear();
        }
        // A page with more than it needs is shorter than one that begins again behind its last name.
        if is_last || caches.len() >= PAGE_SIZE_DEFAULT {
            break;
        }
    }
    let kilobytes = u32::try_from(host.max_message_bytes / 1024).unwrap_or(u32::MAX);
    let limits = TopicLimits { max_publish_message_size_kb: kilobytes, ..TopicLimits::default() };
    let cache = |name: Namespace| Cache {
        cache_name: name.to_string(),
        topic_limits: Some(limits),
        cache_id: name.to_string(),
    };
    Ok(ListCachesResponse { cache: caches.into_iter().map(cache).collect(), next_token: after })
}

/// The cache of this name, where the caller may do this to it.
fn administered(momento: &Momento, call: &Call, name: &str) -> Result<Namespace> {
    let cache = convert::cache(name)?;
    momento.host.may(&call.caller, Action::Admin, Resource::Namespace(&cache))?;
    Ok(cache)
}

/// The line that says who has changed something.
fn has(call: &Call, event: &str, cache: &Namespace) {
    audit::done(call.caller.identity(), call.caller.address(), event, cache);
}
