//! The priority of threads whose work is worth less than that on messages. A system that does not
//! allow it leaves them as they are.

/// The calling thread works from now on only when no other one wants its processor. With the usual
/// policy, even at the lowest priority, an export kept messages waiting for whole slices of time:
/// p99 1.4 ms instead of 0.4 on two cores, at 30,000 spans a second.
pub fn yield_to_everybody() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
            tracing::debug!(?error, "a thread keeps its scheduling policy");
            yield_to_the_bus();
        }
    }
}

/// The calling thread has less than normal priority from now on.
pub fn yield_to_the_bus() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}
