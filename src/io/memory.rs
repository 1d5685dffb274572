//! Sources and sinks in memory, for tests and for embedding the runtime in another program.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::{Message, PortError, Publication, Sink, Source};

/// Gives the messages of a list, in order.
#[derive(Debug)]
pub struct MemorySource {
    messages: std::vec::IntoIter<Message>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
}

impl MemorySource {
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages: messages.into_iter(), acknowledged: Arc::default() }
    }

    /// The receipts that have been acknowledged, in the order they came; shared with the source.
    pub fn acknowledged(&self) -> Arc<Mutex<Vec<u64>>> {
        Arc::clone(&self.acknowledged)
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        self.messages.next().map(Ok)
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(receipt);
        Ok(())
    }
}

/// Keeps what is sent. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    publications: Arc<Mutex<Vec<Publication>>>,
}

impl MemorySink {
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been sent so far, in order.
    pub fn publications(&self) -> Vec<Publication> {
        self.publications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn send(&mut self, publication: &Publication) -> Result<u64, PortError> {
        let mut publications = self.publications.lock().unwrap_or_else(PoisonError::into_inner);
        publications.push(publication.clone());
        Ok(publications.len() as u64)
    }

    async fn flush(&mut self) -> Result<(), PortError> {
        Ok(())
    }

    fn done(&self) -> u64 {
        self.publications.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;

    #[tokio::test]
    async fn gives_back_what_it_was_given() {
        let message = Message {
            topic: "a/b".into(),
            payload: b"x".to_vec(),
            received_at: Timestamp::default(),
            receipt: 7,
        };
        let mut source = MemorySource::new(vec![message.clone()]);
        let acknowledged = source.acknowledged();
        assert_eq!(source.next().await.unwrap().unwrap(), message);
        source.acknowledge(7).await.unwrap();
        assert!(source.next().await.is_none());
        assert_eq!(*acknowledged.lock().unwrap(), [7]);

        let sink = MemorySink::new();
        let publication = Publication {
            ts: Timestamp::default(),
            topic: "c".into(),
            payload: json!({}).into(),
            qos: 1,
            retain: false,
            expiry: None,
        };
        sink.clone().send(&publication).await.unwrap();
        assert_eq!(sink.publications(), [publication]);
    }
}
