//! The other end of OTLP over HTTP: keeps what arrives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

#[derive(Clone, Debug, Default)]
pub struct Received {
    pub traces: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
    pub logs: Vec<ExportLogsServiceRequest>,
}

pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<(Mutex<Received>, Condvar)>,
}

impl Receiver {
    pub fn new() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<(Mutex<Received>, Condvar)>::default();
        let kept = received.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, kept) = (connection.unwrap(), kept.clone());
                thread::spawn(move || while answer(&connection, &kept).is_some() {});
            }
        });
        Self { address, received }
    }

    /// What has arrived, as soon as it is as it should be; or after a time in which it should have been.
    pub fn once(&self, complete: impl Fn(&Received) -> bool) -> Received {
        let (received, arrived) = &*self.received;
        let incomplete = |received: &mut Received| !complete(received);
        let limit = Duration::from_secs(30);
        let received = received.lock().unwrap();
        let (received, _) = arrived
            .wait_timeout_while(received, limit, incomplete)
            .unwrap();
        received.clone()
    }
}

/// Reads one request and answers it; `None` when the connection is over.
fn answer(mut connection: &TcpStream, (kept, arrived): &(Mutex<Received>, Condvar)) -> Option<()> {
    // Nobody sends the next request before the answer, so nothing is lost with the buffer.
    let mut reader = BufReader::new(connection);
    let (mut path, mut length, mut zipped) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("post ") {
            rest.split(' ').next()?.clone_into(&mut path);
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        } else if let Some(value) = line.strip_prefix("content-encoding:") {
            assert_eq!(value.trim(), "gzip");
            zipped = true;
        } else if line.is_empty() {
            break;
        }
        assert!(!line.starts_with("transfer-encoding:"), "{line}");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if zipped {
        let zip = std::mem::take(&mut body);
        GzDecoder::new(&*zip).read_to_end(&mut body).unwrap();
    }
    {
        let mut kept = kept.lock().unwrap();
        match &*path {
            "/v1/traces" => kept.traces.push(Message::decode(&*body).unwrap()),
            "/v1/metrics" => kept.metrics.push(Message::decode(&*body).unwrap()),
            "/v1/logs" => kept.logs.push(Message::decode(&*body).unwrap()),
            other => panic!("{other}"),
        }
        arrived.notify_all();
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    connection.write_all(head.as_bytes()).ok()
}
