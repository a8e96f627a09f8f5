//! Waiting for a condition, never for a length of time.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Asks until the answer is `Ok`, and returns what it holds.
///
/// An `Err` means "not yet" and says what was seen. Once `deadline` has passed,
/// the error names `what` was awaited and what was seen last.
///
/// # Errors
/// When the deadline passes first.
///
/// ```
/// # use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let pods = AtomicU32::new(0);
/// let seen = local_cluster::wait_until(Duration::from_secs(5), "three pods", async || {
///     match pods.fetch_add(1, Ordering::Relaxed) {
///         n @ 3.. => Ok(n),
///         n => Err(anyhow::anyhow!("{n} pods")),
///     }
/// })
/// .await
/// .unwrap();
/// assert_eq!(seen, 3);
/// # });
/// ```
pub async fn wait_until<T, Answer: Future<Output = Result<T>>>(
    deadline: Duration,
    what: &str,
    mut probe: impl FnMut() -> Answer,
) -> Result<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let remaining = deadline
            .saturating_sub(begun.elapsed())
            .max(Duration::from_secs(1));
        let last = match tokio::time::timeout(remaining, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => format!("{seen:#}"),
            Err(_) => "the question itself was not answered".to_owned(),
        };
        if begun.elapsed() >= deadline {
            return Err(anyhow!(
                "gave up waiting {deadline:?} for {what}; last seen: {last}"
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_names_what_was_awaited_and_what_was_seen_last() {
        let never = || async { Err::<(), _>(anyhow!("2 of 3")) };
        let error = wait_until(Duration::from_millis(50), "three pods", never)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "gave up waiting 50ms for three pods; last seen: 2 of 3"
        );
    }

    #[tokio::test]
    async fn a_question_that_is_never_answered_does_not_wait_for_ever() {
        let hangs = std::future::pending::<Result<()>>;
        let error = wait_until(Duration::from_millis(50), "an answer", hangs)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the question itself was not answered"),
            "{error}"
        );
    }

    #[test]
    fn it_may_be_awaited_in_a_task() {
        fn is_send(_: impl Send) {}
        let text = String::from("borrowed");
        is_send(wait_until(Duration::ZERO, "nothing", || async { Ok(text.len()) }));
    }
}
