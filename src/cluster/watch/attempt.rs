//! One connection for one kind, from its request to its end.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    TouchSink,
    plan::{Closed, Ended, Next, Plan},
    state::Reporter,
};
use crate::{
    backoff::random,
    cluster::{
        Kind, SharedInventory, Touched,
        model::Object,
        stream::{Arrived, Ask, EventStream, Limits, Page, StreamError},
        wire::{self, Event},
    },
};

/// A stream of changes that brings no error for this long was resumed: an expired
/// version is refused at once.
const SETTLED: Duration = Duration::from_secs(3);
/// The end mark of an initial list follows the last object at once; a server that is
/// silent for this long before it will send none.
const LIST_SILENCE: Duration = Duration::from_secs(30);
/// What was complete is out of date once a new list takes longer than this.
const LIST_BORNE: Duration = Duration::from_secs(20);
/// Of an answer that is asked for to see how far a server is: more than an ordinary object.
const CONFIRMATION_BYTES: usize = 1 << 20;
/// A contact is reported at most this often: a long list arrives in many pieces.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Divides the size of pages when one is too large.
const SMALLER: u32 = 4;

/// What all attempts of one kind share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) kind: Kind,
    pub(super) limits: Limits,
    pub(super) inventory: SharedInventory,
    pub(super) sink: Arc<dyn TouchSink>,
    pub(super) reporter: Reporter,
    /// Whether a complete list is on its way.
    pub(super) listing: watch::Sender<bool>,
}

impl Context {
    /// Does what the plan says is next. Loses nothing but the list it is reading if it
    /// is dropped while it waits.
    pub(super) async fn attempt(&self, client: &Client, plan: &mut Plan) -> Ended {
        let ended = self.read(client, plan).await;
        if ended == Err(StreamError::BudgetExceeded) {
            self.inventory
                .write()
                .forget_unlisted(self.kind, &mut Touched::silent());
            self.sink.everything();
        }
        ended
    }

    async fn read(&self, client: &Client, plan: &mut Plan) -> Ended {
        match plan.next() {
            Next::Pages => self.read_pages(client, plan).await,
            Next::Stream(ask) => {
                let is_list = ask == Ask::StreamedList;
                let (kind, limits) = (self.kind, &self.limits);
                let stream = EventStream::open(client, kind, ask, plan.format(), random(), limits).await?;
                if is_list {
                    self.reporter.syncing();
                }
                self.reporter.contact();
                self.read_stream(client, stream, plan, is_list).await
            }
        }
    }

    async fn read_stream(
        &self,
        client: &Client,
        mut stream: EventStream,
        plan: &mut Plan,
        is_list: bool,
    ) -> Ended {
        let mut reading = Reading {
            context: self,
            plan,
            list: is_list.then(|| List::begin(self)),
            is_settled: false,
            opened: Instant::now(),
            reported: Instant::now(),
            touched: if is_list {
                Touched::silent()
            } else {
                Touched::default()
            },
        };
        loop {
            let patience = reading.patience();
            match timeout(patience, stream.next(|event| reading.take(&event))).await {
                Ok(Ok(Arrived::Bytes(bytes))) => reading.took(bytes)?,
                Ok(Ok(Arrived::End)) | Err(_) if reading.list.is_some() => {
                    return Err(StreamError::NoListEnd);
                }
                Ok(ended) => {
                    // Until it ended it worked.
                    reading.heard();
                    return ended.map(|_| Closed::ByServer);
                }
                Err(_) if reading.is_settled => return Err(StreamError::Silent),
                Err(_) => {
                    self.confirm(client, reading.plan).await?;
                    reading.settle();
                }
            }
        }
    }

    /// Sees that the server has reached the version whose changes it was asked for. One that was restored to an
    /// older state has not: it sends nothing until it has, not even an error. Versions of one kind can be
    /// compared as numbers (KEP 5504).
    async fn confirm(&self, client: &Client, plan: &Plan) -> Result<(), StreamError> {
        let ask = Ask::Page { size: 1, next: None };
        let limits = Limits {
            page_bytes: self.limits.page_bytes.min(CONFIRMATION_BYTES),
            ..self.limits
        };
        let page = Page::read(client, self.kind, ask, plan.format(), &limits);
        let page = match timeout(limits.answer, page).await {
            Err(_) => return Err(StreamError::NoAnswer),
            // An object this large is no reason to doubt.
            Ok(Err(StreamError::FrameTooLarge)) => return Ok(()),
            Ok(page) => page?,
        };
        let end = wire::page(page.format, self.kind, &page.body, &mut |_| ())?;
        if plan.is_ahead_of(&end.resource_version) {
            return Err(StreamError::Expired);
        }
        Ok(())
    }

    async fn read_pages(&self, client: &Client, plan: &mut Plan) -> Ended {
        let mut list = List::begin(self);
        let mut silent = Touched::silent();
        let (mut size, mut next) = (self.limits.page_size, None::<String>);
        loop {
            let ask = Ask::Page {
                size,
                next: next.as_deref(),
            };
            let page = Page::read(client, self.kind, ask, plan.format(), &self.limits);
            let page = timeout_at(list.deadline, page)
                .await
                .map_err(|_| StreamError::ListTooSlow)?;
            let page = match page {
                Err(StreamError::FrameTooLarge) if size > 1 => {
                    size = (size / SMALLER).max(1);
                    continue;
                }
                page => page?,
            };
            self.reporter.syncing();
            self.reporter.contact();
            list.took(page.body.len() as u64, self)?;
            let mut is_over_budget = false;
            let end = wire::page(page.format, self.kind, &page.body, &mut |object| {
                is_over_budget |= self.apply(&object, &mut silent).is_err();
            })
            .map_err(StreamError::from)?;
            if is_over_budget {
                return Err(StreamError::BudgetExceeded);
            }
            next = end.next;
            if next.is_none() {
                plan.reached(&end.resource_version);
                self.complete();
                return Ok(Closed::Listed);
            }
        }
    }

    fn apply(&self, object: &Object<'_>, touched: &mut Touched) -> Result<(), StreamError> {
        let mut inventory = self.inventory.write();
        let before = inventory.memory();
        inventory.apply(object, touched);
        let after = inventory.memory();
        // What takes no more than before is on the way back.
        if after > self.limits.memory && after > before {
            return Err(StreamError::BudgetExceeded);
        }
        Ok(())
    }

    /// The list that was begun is complete.
    fn complete(&self) {
        self.inventory.write().finish(self.kind, &mut Touched::silent());
        self.reporter.complete();
        self.sink.everything();
    }
}

/// A complete list on its way.
#[derive(Debug)]
struct List {
    begun: Instant,
    deadline: Instant,
    bytes: u64,
    listing: watch::Sender<bool>,
}

impl Drop for List {
    fn drop(&mut self) {
        self.listing.send_replace(false);
    }
}

impl List {
    fn begin(context: &Context) -> Self {
        context.inventory.write().begin(context.kind);
        context.listing.send_replace(true);
        let begun = Instant::now();
        Self {
            begun,
            deadline: begun + context.limits.list,
            bytes: 0,
            listing: context.listing.clone(),
        }
    }

    fn took(&mut self, bytes: u64, context: &Context) -> Result<(), StreamError> {
        let limits = &context.limits;
        self.bytes += bytes;
        if self.begun.elapsed() > LIST_BORNE {
            context.reporter.still_syncing();
        }
        if self.bytes > limits.list_bytes {
            return Err(StreamError::ListTooLarge);
        }
        if Instant::now() > self.deadline {
            return Err(StreamError::ListTooSlow);
        }
        Ok(())
    }
}

/// A stream being read.
struct Reading<'a> {
    context: &'a Context,
    plan: &'a mut Plan,
    /// `None` once it is complete, or where only changes were asked for.
    list: Option<List>,
    is_settled: bool,
    opened: Instant,
    /// When the last contact was.
    reported: Instant,
    touched: Touched,
}

impl Reading<'_> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), StreamError> {
        let context = self.context;
        match event {
            Event::Applied(object) => {
                context.apply(object, &mut self.touched)?;
                self.reached(&object.meta().resource_version);
            }
            Event::Deleted(meta) => {
                context
                    .inventory
                    .write()
                    .delete(context.kind, meta, &mut self.touched);
                self.reached(&meta.resource_version);
            }
            Event::Bookmark {
                resource_version,
                initial_end,
            } => {
                if *initial_end && self.list.take().is_some() {
                    context.complete();
                    self.touched = Touched::default();
                    self.is_settled = true;
                }
                self.reached(resource_version);
            }
            Event::Failed(failure) => return Err((*failure).into()),
            Event::Unknown => {}
        }
        Ok(())
    }

    /// In a list, only its end says which version it shows.
    fn reached(&mut self, version: &str) {
        if self.list.is_none() && !version.is_empty() {
            self.plan.reached(version);
        }
    }

    /// After each arrival of bytes: what they changed goes on in one piece.
    fn took(&mut self, bytes: u64) -> Result<(), StreamError> {
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            self.context.reporter.contact();
        }
        if let Some(list) = &mut self.list {
            return list.took(bytes, self.context);
        }
        self.settle();
        self.heard();
        if self.touched.everything() {
            self.touched.take();
            self.context.sink.everything();
        } else if !self.touched.is_empty() {
            self.context.sink.repositories(&self.touched.take());
        }
        Ok(())
    }

    fn heard(&mut self) {
        if self.list.is_none() {
            self.plan.heard(self.opened.elapsed());
        }
    }

    fn settle(&mut self) {
        if !self.is_settled {
            self.is_settled = true;
            self.context.reporter.synced();
        }
    }

    /// How long the next bytes may take.
    fn patience(&self) -> Duration {
        let silence = self.context.limits.silence;
        match (&self.list, self.is_settled) {
            (Some(_), _) => silence.min(LIST_SILENCE),
            (None, true) => silence,
            (None, false) => SETTLED,
        }
    }
}
