//! An MQTT broker inside the process, on loopback, for the demo and tests.
//!
//! Memory only, open to everybody on this machine, gone with the process: never for production.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, BrokerShutdownHandle, MqttBroker};
use tokio::task::JoinHandle;

/// How long a stop may take before the broker is cut off.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// One packet; a payload of 1 MB passes.
const MAX_PACKET_BYTES: usize = 2 << 20;

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the embedded MQTT broker could not start on 127.0.0.1: {0}")]
    Start(String),
    #[error("the embedded MQTT broker stopped by itself: {0}")]
    Run(String),
    #[error("the embedded MQTT broker did not stop within {} s and was cut off", STOP_LIMIT.as_secs())]
    Stuck,
}

/// A running broker. Dropping it ends the broker without farewell.
pub struct EmbeddedBroker {
    address: SocketAddr,
    shutdown: BrokerShutdownHandle,
    task: JoinHandle<Result<(), String>>,
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker").field("address", &self.address).finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Starts on a free port of 127.0.0.1 and returns once it accepts connections.
    pub async fn start() -> Result<Self, BrokerError> {
        let mut config = BrokerConfig::default()
            .with_bind_address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .with_max_packet_size(MAX_PACKET_BYTES);
        config.storage_config = StorageConfig::default().with_backend(StorageBackend::Memory);
        config.sys_topics_enabled = false;
        let mut broker = MqttBroker::with_config(config)
            .await
            .map_err(|error| BrokerError::Start(error.to_string()))?;
        let address = broker
            .local_addr()
            .ok_or_else(|| BrokerError::Start("it has no address".to_owned()))?;
        let shutdown = broker.shutdown_handle();
        let mut ready = broker.ready_receiver();
        let mut task =
            tokio::spawn(async move { broker.run().await.map_err(|error| error.to_string()) });
        tokio::select! {
            // An error means that the broker went away before it was ready; its task says why.
            outcome = ready.wait_for(|ready| *ready) => {
                if outcome.is_ok() {
                    return Ok(Self { address, shutdown, task });
                }
                Err(BrokerError::Start(ending(task.await)))
            }
            outcome = &mut task => Err(BrokerError::Start(ending(outcome))),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks the broker to end, and waits until it has.
    pub async fn stop(mut self) -> Result<(), BrokerError> {
        self.shutdown.shutdown();
        match tokio::time::timeout(STOP_LIMIT, &mut self.task).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(outcome) => Err(BrokerError::Run(ending(outcome))),
            Err(_) => Err(BrokerError::Stuck),
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ending(outcome: Result<Result<(), String>, tokio::task::JoinError>) -> String {
    match outcome {
        Ok(Ok(())) => "it ended early".to_owned(),
        Ok(Err(why)) => why,
        Err(join) => join.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn starts_takes_connections_and_stops() {
        let broker = EmbeddedBroker::start().await.unwrap();
        assert!(broker.address().ip().is_loopback());
        tokio::net::TcpStream::connect(broker.address()).await.unwrap();
        broker.stop().await.unwrap();
    }
}
