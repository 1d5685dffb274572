//! A stretch of a source, by receive time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::domain::time::Timestamp;
use crate::ports::{Message, PortError, Source};

/// The messages of a source that are received from a moment on and before another. The rest before
/// it is passed over and counted; with the first one behind it the source ends.
#[derive(Debug)]
pub struct Between<S> {
    source: S,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    skipped: Arc<AtomicU64>,
    ended: bool,
}

impl<S: Source> Between<S> {
    pub fn new(source: S, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { source, from, until, skipped: Arc::default(), ended: false }
    }

    /// How many messages were passed over, now and later.
    pub fn skipped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.skipped)
    }
}

#[async_trait]
impl<S: Source> Source for Between<S> {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        while !self.ended {
            let message = match self.source.next().await? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            if self.until.is_some_and(|until| message.received_at >= until) {
                self.ended = true;
            } else if self.from.is_some_and(|from| message.received_at < from) {
                self.skipped.fetch_add(1, Ordering::Relaxed);
            } else {
                return Some(Ok(message));
            }
        }
        None
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.source.acknowledge(receipt).await
    }
}
