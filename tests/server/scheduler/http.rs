//! As much of an HTTP client as these tests need.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpStream;

/// The status and the body of an answer.
pub async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (status, _, body) = call(address, &format!("GET {path} HTTP/1.1\r\n"), "").await;
    (status, body)
}

/// The same, with a body of JSON sent.
pub async fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n");
    let (status, _, body) = call(address, &head, body).await;
    (status, body)
}

/// The status, the headers and the body.
pub async fn call(address: SocketAddr, head: &str, body: &str) -> (u16, String, String) {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let end = format!("Host: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    write_all(&stream, format!("{head}{end}{body}").as_bytes()).await.expect("it takes the request");
    let answer = String::from_utf8(read_to_end(&stream).await).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), head.to_ascii_lowercase(), body.to_string())
}

/// Sends all of it.
pub async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// All that comes until the other side closes the connection, in whatever way.
pub async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        if stream.readable().await.is_err() {
            return all;
        }
        match stream.try_read(&mut part) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&part[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return all,
        }
    }
}
