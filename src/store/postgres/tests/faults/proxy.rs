//! A way to a server that can be cut.

use std::sync::Arc;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections end, and new ones do as well.
    Cut,
    /// Nothing gets through any more, and nobody is told.
    Swallowing,
}

pub(super) struct Proxy {
    url: String,
    way: Arc<watch::Sender<Way>>,
}

impl Proxy {
    pub(super) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (credentials, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let way = Arc::new(watch::Sender::new(Way::Open));
        tokio::spawn(serve(listener, server.to_owned(), way.subscribe()));
        Self {
            url: format!("{credentials}@{address}/{database}"),
            way,
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    pub(super) fn swallow(&self) {
        self.way.send_replace(Way::Swallowing);
    }

    pub(super) fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

async fn serve(listener: TcpListener, server: String, way: watch::Receiver<Way>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, server.clone(), way.clone()));
    }
}

/// A connection lives until the way is cut; while it swallows, its bytes wait for ever.
async fn pass(mut client: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let begun = *way.borrow_and_update();
    match begun {
        Way::Cut => return,
        Way::Swallowing => {
            let _ = way.wait_for(|way| *way != Way::Swallowing).await;
            return;
        }
        Way::Open => {}
    }
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    let swallows = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut upstream) => return,
        changed = way.wait_for(|way| *way != Way::Open) => {
            changed.is_ok_and(|way| *way == Way::Swallowing)
        }
    };
    if swallows {
        let _ = way.wait_for(|way| *way != Way::Swallowing).await;
    }
}
