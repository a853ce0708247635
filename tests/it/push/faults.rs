//! The use case with storage in memory: each fault at each request, and other writers in between.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backfill::model::OnConflict;
use backfill::push::{self, Pushed, Settings, Storage};
use backfill::report::{Silent, Stop};
use backfill::store::{OpenOptions, Reader};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

use super::{Bars, read_bars, store};
use crate::support::TestEnv;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The server refuses it: nothing is done.
    Refused,
    /// It is done, and the response is lost.
    LostReply,
    /// The server says that the object exists, and it doesn't, as S3 does while writers meet.
    Undecided,
}

/// Something that happens once, when a data file is used.
#[derive(Default)]
struct Once(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Once {
    fn run_at(&self, location: &Path) {
        if location.as_ref().starts_with("_delta_log") {
            return;
        }
        let event = self.0.lock().unwrap().take();
        if let Some(event) = event {
            // In a thread of its own: it may block.
            std::thread::spawn(event).join().unwrap();
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

/// Storage in memory of which one request fails.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<InMemory>,
    /// The request that fails, counted from 0, and how.
    fault: Option<(usize, Fault)>,
    requests: Mutex<usize>,
    /// Objects that are to be created only if they don't exist are replaced.
    replaces: bool,
    /// What happens after the first upload of a data file.
    after_upload: Once,
    /// What happens before a data file is first read.
    before_read: Once,
}

impl Faulty {
    fn new(inner: &Arc<InMemory>, fault: Option<(usize, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            fault,
            requests: Mutex::new(0),
            replaces: false,
            after_upload: Once::default(),
            before_read: Once::default(),
        })
    }

    fn replacing(inner: &Arc<InMemory>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            fault: None,
            requests: Mutex::new(0),
            replaces: true,
            after_upload: Once::default(),
            before_read: Once::default(),
        })
    }

    /// Storage where something else happens after the first upload of a data file.
    pub fn after_upload(inner: &Arc<InMemory>, event: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let storage = Self::new(inner, None);
        *storage.after_upload.0.lock().unwrap() = Some(Box::new(event));
        storage
    }

    /// Storage where something else happens before a data file is first read.
    pub fn before_read(inner: &Arc<InMemory>, event: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let storage = Self::new(inner, None);
        *storage.before_read.0.lock().unwrap() = Some(Box::new(event));
        storage
    }

    fn next(&self) -> Option<Fault> {
        let mut requests = self.requests.lock().unwrap();
        *requests += 1;
        let at = *requests - 1;
        self.fault
            .filter(|(index, _)| *index == at)
            .map(|(_, fault)| fault)
    }

    fn count(&self) -> usize {
        *self.requests.lock().unwrap()
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

fn lost() -> Error {
    Error::Generic {
        store: "Faulty",
        source: "the connection was lost".into(),
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if self.replaces {
            options.mode = PutMode::Overwrite;
        }
        match self.next() {
            None => {
                let put = self.inner.put_opts(location, payload, options).await;
                self.after_upload.run_at(location);
                put
            }
            Some(Fault::Refused) => Err(lost()),
            Some(Fault::LostReply) => {
                let _ = self.inner.put_opts(location, payload, options).await;
                Err(lost())
            }
            Some(Fault::Undecided) => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "409".into(),
            }),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.next() {
            None => self.inner.put_multipart_opts(location, options).await,
            Some(_) => Err(lost()),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !options.head {
            self.before_read.run_at(location);
        }
        match self.next() {
            None => self.inner.get_opts(location, options).await,
            Some(_) => Err(lost()),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            None => self.inner.list(prefix),
            Some(_) => futures_util::stream::iter([Err(lost())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

pub fn settings(on_conflict: OnConflict) -> Settings {
    Settings {
        on_conflict,
        threads: 1,
        commit_files: 2,
        part_bytes: 4_096,
        ..Settings::default()
    }
}

pub fn push_to(
    env: &TestEnv,
    store: &str,
    target: Arc<dyn ObjectStore>,
    on_conflict: OnConflict,
) -> std::result::Result<Pushed, push::Error> {
    push_with(env, store, target, &settings(on_conflict))
}

pub fn push_with(
    env: &TestEnv,
    store: &str,
    target: Arc<dyn ObjectStore>,
    settings: &Settings,
) -> std::result::Result<Pushed, push::Error> {
    let reader = Reader::open_detached(&env.path(store), &OpenOptions::default()).unwrap();
    push::run(
        &reader,
        Some(&Storage::new(target)),
        settings,
        &Stop::new(),
        &Silent,
    )
}

/// The bars of the table's newest version.
pub fn table(target: &Arc<InMemory>) -> Bars {
    let storage = Storage::new(target.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut bars = Bars::new();
    for file in push::list(&storage).unwrap().expect("a table") {
        let bytes = async {
            target
                .get(&Path::parse(&file).unwrap())
                .await
                .unwrap()
                .bytes()
                .await
        };
        read_bars(runtime.block_on(bytes).unwrap(), &file, &mut bars);
    }
    bars
}

/// Two stores with three tickers; X is in both.
pub fn two_stores() -> TestEnv {
    let env = TestEnv::new();
    for (name, ticker, rows) in [
        ("a", "X", 0..600),
        ("a", "Y", 0..700),
        ("b", "X", 300..900),
        ("b", "Z", 0..60),
    ] {
        store(&env, name, ticker, rows, 10);
    }
    for name in ["a", "b"] {
        env.typed(&format!("seal --store {name}")).ok();
    }
    env
}

#[test]
fn any_fault_at_any_request_leaves_a_table_that_the_next_run_completes() {
    let env = two_stores();
    let undisturbed = Arc::new(InMemory::new());
    for name in ["a", "b"] {
        push_to(&env, name, undisturbed.clone(), OnConflict::Update).unwrap();
    }
    let whole = table(&undisturbed);
    assert_eq!(whole.len(), 900 + 700 + 60);
    for name in ["a", "b"] {
        // The second store finds the table of the first, and merges X.
        let start = || {
            let target = Arc::new(InMemory::new());
            if name == "b" {
                push_to(&env, "a", target.clone(), OnConflict::Update).unwrap();
            }
            target
        };
        let counted = Faulty::new(&start(), None);
        push_to(&env, name, counted.clone(), OnConflict::Update).unwrap();
        assert!(counted.count() > 8, "{}", counted.count());
        for fault in [Fault::Refused, Fault::LostReply, Fault::Undecided] {
            for at in 0..counted.count() {
                let target = start();
                let disturbed = Faulty::new(&target, Some((at, fault)));
                let first = push_to(&env, name, disturbed, OnConflict::Update);
                if first.is_ok_and(|pushed| pushed.report.status().code() == 0) {
                    let again = push_to(&env, name, target.clone(), OnConflict::Fail).unwrap();
                    assert_eq!(again.report.totals.files, 0, "{name} {fault:?} {at}");
                }
                for name in ["a", "b"] {
                    let next = push_to(&env, name, target.clone(), OnConflict::Update).unwrap();
                    assert_eq!(next.report.status().code(), 0, "{fault:?} {at}");
                }
                assert_eq!(table(&target), whole, "{name} {fault:?} {at}");
                let last = push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
                assert_eq!(last.report.totals.files, 0, "{name} {fault:?} {at}");
            }
        }
    }
}

#[test]
fn a_lost_reply_of_a_commit_is_looked_up_and_not_an_error() {
    let env = two_stores();
    let counted = Faulty::new(&Arc::new(InMemory::new()), None);
    push_to(&env, "a", counted.clone(), OnConflict::Fail).unwrap();
    let mut looked_up = 0;
    for at in 0..counted.count() {
        let target = Arc::new(InMemory::new());
        let disturbed = Faulty::new(&target, Some((at, Fault::LostReply)));
        let Ok(pushed) = push_to(&env, "a", disturbed, OnConflict::Fail) else {
            continue;
        };
        if pushed.report.status().code() == 0 {
            looked_up += 1;
            assert_eq!(pushed.report.version, Some(1), "{at}");
            assert_eq!(table(&target).len(), 1_300);
        }
    }
    assert!(looked_up >= 2, "one for each commit: {looked_up}");
}

#[test]
fn storage_that_ignores_conditions_is_refused_before_a_commit_is_replaced() {
    let env = two_stores();
    let target = Arc::new(InMemory::new());
    for _ in 0..2 {
        // The first push makes version 0 and finds out. The second one finds that version.
        let replacing = Faulty::replacing(&target);
        let pushed = push_to(&env, "a", replacing, OnConflict::Fail).unwrap();
        let fatal = pushed.report.fatal.unwrap().error;
        assert!(fatal.contains("the target replaces objects"), "{fatal}");
        assert_eq!(pushed.report.version, Some(0));
    }
    push_to(&env, "a", target.clone(), OnConflict::Fail).unwrap();
    let before = table(&target);
    let replacing = Faulty::replacing(&target);
    let pushed = push_to(&env, "b", replacing, OnConflict::Update).unwrap();
    assert!(pushed.report.fatal.is_some());
    assert_eq!(table(&target), before);
}

#[test]
fn writers_at_the_same_time_all_commit() {
    let env = TestEnv::new();
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    for (number, name) in (0_i64..).zip(&names) {
        // Each has 100 minutes of X that no other has, and 100 that all have.
        store(&env, name, "X", 0..100, 10);
        store(&env, name, "X", 300 + 100 * number..400 + 100 * number, 10);
        env.typed(&format!("seal --store {name}")).ok();
    }
    let target = Arc::new(InMemory::new());
    std::thread::scope(|scope| {
        for name in names.iter().chain(&names) {
            let (env, target) = (&env, target.clone());
            scope.spawn(move || {
                let pushed = push_to(env, name, target, OnConflict::Update).unwrap();
                assert_eq!(pushed.report.status().code(), 0, "{:?}", pushed.report);
            });
        }
    });
    assert_eq!(table(&target).len(), 100 + 600);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let log = Path::from("_delta_log");
    let versions = || runtime.block_on(target.list(Some(&log)).count());
    let before = versions();
    for name in &names {
        push_to(&env, name, target.clone(), OnConflict::Fail).unwrap();
    }
    assert_eq!(versions(), before, "nothing new makes no version");
}
