//! Unix sockets on both sides of the gateway.

use crate::harness::{Frame, Gateway, Handshake, Leg, Upstream};
use tempfile::TempDir;

#[tokio::test]
async fn a_gateway_behind_another_by_a_unix_socket() {
    let (folder, upstream) = (TempDir::new().unwrap(), Upstream::bind().await);
    let address = address(&folder);
    let _inner = Gateway::start_in(folder, &listening(&address, &upstream.url()));
    let outer = Gateway::before(address);
    let mut client = outer.connect().await;
    client
        .send(Handshake::new("/room").bytes(outer.address()))
        .await;
    let mut server = upstream.serve().await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(server.asked_line(), "GET /room HTTP/1.1");
    passes(&mut client, &mut server).await;

    client.send_frame(&Frame::close(4000, "bye").masked()).await;
    assert_eq!(server.close(4000).await, "bye");
    server.send_frame(&Frame::close(4000, "bye")).await;
    assert_eq!(client.close(4000).await, "bye");
    client.ended().await;
    server.ended().await;
}

#[tokio::test]
async fn a_unix_socket_without_a_server_gets_502() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::before(address(&folder));
    assert_eq!(gateway.status(&Handshake::new("/")).await, 502);
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_behind_is_taken_over() {
    let folder = TempDir::new().unwrap();
    // Dropping a listener leaves its file.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("wsgate.sock")).unwrap());
    let address = address(&folder);
    let _inner = Gateway::start_in(folder, &listening(&address, "builtin:echo"));
    let outer = Gateway::before(address);
    let mut client = outer.open().await;
    client.send_frame(&Frame::text("hello").masked()).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
}

fn address(folder: &TempDir) -> String {
    format!("unix:{}", folder.path().join("wsgate.sock").display())
}

fn listening(address: &str, url: &str) -> String {
    format!("[[listeners]]\naddress = \"{address}\"\n[[routes]]\nupstream = \"{url}\"")
}

async fn passes(client: &mut Leg, server: &mut Leg) {
    let frame = Frame::text("through");
    client.send_frame(&frame.clone().masked()).await;
    assert_eq!(server.frame().await.unmasked(), frame);
    server.send_frame(&frame).await;
    assert_eq!(client.frame().await, frame);
}
