//! One generation of an object, open.
//!
//! Of each chunk the object knows one of four things: absent, present, changing (being written or
//! removed), and of a present one whether its bytes have been checked. Changes are exclusive; a
//! read takes a ticket before and shows it after, and a chunk that was removed in between was not
//! read.

use super::{
    body::{Body, ReadError},
    manifest::{Manifest, Meta},
    paths::Paths,
    private::Private,
    usage::Usage,
};
use crate::domain::{
    ByteRange, ChunkIndex, ChunkRun, ChunkSet, Grid, Validators, chunk_at, is_coded, place_of,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{
    fmt, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

/// The name of an object within the store: a hash of its key and variant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub [u8; 16]);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ObjectId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
        Some(Self(number.to_be_bytes()))
    }
}

/// One generation of an object.
#[derive(Debug)]
pub struct Object {
    id: ObjectId,
    key: Vec<u8>,
    /// What a purge finds it by; read off the key when the first purge asks.
    place: OnceLock<Box<str>>,
    generation: u64,
    chunk_size: u32,
    meta: RwLock<(Arc<Meta>, Validators)>,
    /// When the origin was asked for what it last said, where that was in this process.
    asked: Mutex<Option<Instant>>,
    body: OnceLock<Body>,
    has_manifest: AtomicBool,
    /// Its body has no name, or will have none.
    private: OnceLock<Private>,
    /// Held while the body is created: chunks of a new object may be written side by side.
    creating: Mutex<()>,
    /// Shared with the index, once the object has been loaded or written.
    usage: OnceLock<Arc<Usage>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: Option<u64>,
    present: ChunkSet,
    verified: ChunkSet,
    changing: ChunkSet,
    /// Counts removals of chunks; what a read's ticket is checked against.
    removals: u64,
    retired: bool,
    /// What lies on disk of it may change under its readers.
    cast_off: bool,
}

impl State {
    /// Bytes of the chunks that are present: all are of one size but perhaps the last.
    fn stored(&self, chunk_size: u32) -> u64 {
        let size = u64::from(chunk_size);
        let full = u64::from(self.present.len()) * size;
        let Some(last) = self.total.filter(|total| total % size > 0) else {
            return full;
        };
        let has_last = self.present.contains(chunk_at(chunk_size, last));
        full - if has_last { size - last % size } else { 0 }
    }
}

/// Taken before a read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    removals: u64,
    /// Whether the bytes of the chunk have been checked.
    pub verified: bool,
}

impl Object {
    /// A generation of which nothing is on disk.
    pub(super) fn new(manifest: Manifest) -> Self {
        let validators = manifest.meta.validators();
        Self {
            id: manifest.id,
            key: manifest.key,
            place: OnceLock::new(),
            generation: manifest.generation,
            chunk_size: manifest.chunk_size,
            meta: RwLock::new((Arc::new(manifest.meta), validators)),
            asked: Mutex::default(),
            body: OnceLock::new(),
            has_manifest: AtomicBool::new(false),
            private: OnceLock::new(),
            creating: Mutex::new(()),
            usage: OnceLock::new(),
            state: Mutex::new(State {
                total: manifest.total,
                ..State::default()
            }),
        }
    }

    /// Its host and target.
    pub(super) fn named_place(&self) -> &str {
        self.place.get_or_init(|| place_of(&self.key).into())
    }

    /// A generation that lies on disk.
    pub(super) fn load(manifest: Manifest, paths: &Paths) -> io::Result<Self> {
        let file = paths.open_body(manifest.id, manifest.generation)?;
        let object = Self::new(manifest);
        let body = Body::new(file, object.generation, object.chunk_size);
        let count = object.grid().map_or(0, Grid::count);
        for chunk in body.recorded(count)? {
            object.state.lock().present.insert(chunk);
        }
        let _ = object.body.set(body);
        object.note_manifest();
        Ok(object)
    }

    /// A request found it. Costs two writes to memory.
    pub fn note_found(&self, now: SystemTime) {
        self.usage().found(now);
    }

    /// What the origin says of it now was asked for at that moment.
    pub fn note_asked(&self, at: Option<Instant>) {
        *self.asked.lock() = at;
    }

    /// Whether the origin was asked for what it last said at this moment or later.
    pub fn is_asked_since(&self, moment: Instant) -> bool {
        self.asked.lock().is_some_and(|at| at >= moment)
    }

    /// Requests that found this version since the process first met it, and when one last did.
    pub fn found(&self) -> (u64, Option<SystemTime>) {
        (self.usage().finds(), self.usage().last())
    }

    /// Bytes of its chunks on disk.
    pub fn stored(&self) -> u64 {
        self.state.lock().stored(self.chunk_size)
    }

    /// What is counted of it; its own until [`Object::count_in`].
    pub(super) fn usage(&self) -> &Arc<Usage> {
        self.usage.get_or_init(|| {
            let usage = Arc::new(Usage::default());
            usage.takes(self.stored());
            usage
        })
    }

    /// Goes on counting where another instance of this generation has left off; only for one that
    /// nobody has yet.
    pub(super) fn count_in(&self, usage: Arc<Usage>) {
        usage.takes(self.stored());
        let _ = self.usage.set(usage);
    }

    fn weigh(&self, state: &State) {
        if let Some(usage) = self.usage.get() {
            usage.takes(state.stored(self.chunk_size));
        }
    }

    /// Its name in the store.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Its key, as made by the one key function.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The name of a chunk of this generation in the budget.
    pub(super) fn name_of(&self, chunk: ChunkIndex) -> (ObjectId, u64, ChunkIndex) {
        (self.id, self.generation, chunk)
    }

    /// Sets it apart from every other version ever stored.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes of every chunk but perhaps the last.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Length in bytes, once it is known.
    pub fn total(&self) -> Option<u64> {
        self.state.lock().total
    }

    /// Its grid, once its length is known.
    pub fn grid(&self) -> Option<Grid> {
        Grid::new(self.chunk_size, self.total()?)
    }

    /// The response that it came with.
    pub fn meta(&self) -> Arc<Meta> {
        self.meta.read().0.clone()
    }

    /// The validators of that response.
    pub fn validators(&self) -> Validators {
        self.meta.read().1.clone()
    }

    /// Whether its bytes can be asked for again: a validator tells this version from the next,
    /// and no coding makes offsets meaningless.
    pub fn is_versioned(&self) -> bool {
        let meta = self.meta.read();
        meta.1.tell_versions_apart() && !is_coded(&meta.0.headers)
    }

    /// From this chunk on it is not to make room for others, as somebody is to read what can't be asked
    /// for again; all of it may with `None`.
    pub fn spare(&self, from: Option<ChunkIndex>) {
        self.usage().spare(from);
    }

    /// Whether a chunk is not to make room for others.
    pub fn is_spared(&self, chunk: ChunkIndex) -> bool {
        self.usage().is_spared(chunk)
    }

    /// Whether what is missing of it can't be asked for again.
    pub fn comes_once(&self) -> bool {
        self.total().is_none() || !self.is_versioned()
    }

    /// Whether it has no length yet, or lacks chunks that can't be asked for again.
    pub(super) fn stays_partial(&self) -> bool {
        let is_whole = |grid: Grid| self.state.lock().present.len() == grid.count();
        self.comes_once() && !self.grid().is_some_and(is_whole)
    }

    /// Whether `chunk` can be read.
    pub fn has(&self, chunk: ChunkIndex) -> bool {
        self.state.lock().present.contains(chunk)
    }

    /// The first chunk of `run` that can't be read.
    pub fn first_missing(&self, run: ChunkRun) -> Option<ChunkIndex> {
        self.state.lock().present.first_missing(run)
    }

    /// The chunks that can be read.
    pub fn present(&self) -> ChunkSet {
        self.state.lock().present.clone()
    }

    /// Whether it has been replaced or removed: nothing is kept for it any more.
    pub fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    pub(super) fn set_meta(&self, meta: Meta) {
        let validators = meta.validators();
        *self.meta.write() = (Arc::new(meta), validators);
    }

    /// Not fresh any more.
    pub(super) fn soften(&self, now: SystemTime) {
        let mut meta = self.meta.write();
        let mut stale = Meta::clone(&meta.0);
        stale.soften(now);
        meta.0 = Arc::new(stale);
    }

    /// Its length, now that its last byte is known; to be told to the disk by [`Store::complete`].
    ///
    /// [`Store::complete`]: super::Store::complete
    pub fn set_total(&self, total: u64) {
        let mut state = self.state.lock();
        state.total = Some(total);
        self.weigh(&state);
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.body.get().is_some()
    }

    pub(super) fn has_manifest(&self) -> bool {
        self.has_manifest.load(Relaxed)
    }

    pub(super) fn note_manifest(&self) {
        self.has_manifest.store(true, Relaxed);
    }

    /// Whether nothing of it is on disk or on its way there.
    pub(super) fn is_empty_on_disk(&self) -> bool {
        let state = self.state.lock();
        state.present.is_empty() && state.changing.is_empty()
    }

    /// What its manifest is to say; `None` while the length is not known.
    pub fn manifest(&self) -> Option<Manifest> {
        Some(Manifest {
            id: self.id,
            key: self.key.clone(),
            generation: self.generation,
            total: Some(self.total()?),
            chunk_size: self.chunk_size,
            meta: Meta::clone(&self.meta()),
        })
    }

    /// From now on its body is not to have a name.
    pub(super) fn make_private(&self, private: Private) {
        let _ = self.private.set(private);
    }

    /// What its body takes, where that has no name.
    pub(super) fn private(&self) -> Option<&Private> {
        self.private.get()
    }

    /// Creates the body where there is none.
    pub(super) fn create_body(&self, paths: &Paths) -> io::Result<()> {
        let _only_one = self.creating.lock();
        if self.body.get().is_none() {
            let file = match self.private() {
                None => paths.create_body(self.id, self.generation),
                Some(_) => paths.create_unnamed_body(self.id, self.generation),
            };
            let body = Body::new(file?, self.generation, self.chunk_size);
            let _ = self.body.set(body);
        }
        Ok(())
    }

    /// No more chunks are kept; returns those that were.
    pub(super) fn retire(&self) -> ChunkSet {
        let mut state = self.state.lock();
        state.retired = true;
        state.present.clone()
    }

    /// No more chunks are kept, and what lies on disk of it may be removed without a word: every
    /// read is checked from now on.
    pub(super) fn cast_off(&self) {
        let mut state = self.state.lock();
        (state.retired, state.cast_off) = (true, true);
        state.verified = ChunkSet::default();
        state.removals += 1;
    }

    /// Whether what lies on disk of it is others' by now.
    pub(super) fn is_cast_off(&self) -> bool {
        self.state.lock().cast_off
    }

    /// Begins to write `chunk`; false where it is there, or changing, or not wanted any more.
    pub(super) fn begin_change(&self, chunk: ChunkIndex) -> bool {
        let mut state = self.state.lock();
        let free = !state.retired && !state.present.contains(chunk);
        free && state.changing.insert(chunk)
    }

    /// Begins to remove `chunk`; false where it is not there.
    pub(super) fn begin_removal(&self, chunk: ChunkIndex) -> bool {
        let mut state = self.state.lock();
        let there = !state.changing.contains(chunk) && state.present.remove(chunk);
        if there {
            state.verified.remove(chunk);
            state.changing.insert(chunk);
            state.removals += 1;
            self.weigh(&state);
        }
        there
    }

    /// Ends a change; `present` tells what the chunk is from now on.
    pub(super) fn end_change(&self, chunk: ChunkIndex, present: bool) {
        let mut state = self.state.lock();
        state.changing.remove(chunk);
        if present && !state.cast_off {
            state.present.insert(chunk);
            state.verified.insert(chunk);
            self.weigh(&state);
        }
    }

    pub(super) fn begin_read(&self, chunk: ChunkIndex) -> Option<Ticket> {
        let state = self.state.lock();
        let verified = state.verified.contains(chunk);
        let removals = state.removals;
        state
            .present
            .contains(chunk)
            .then_some(Ticket { removals, verified })
    }

    /// Whether the chunk stayed where it was since the ticket was taken.
    pub(super) fn end_read(&self, chunk: ChunkIndex, ticket: Ticket) -> bool {
        let state = self.state.lock();
        state.removals == ticket.removals && state.present.contains(chunk)
    }

    pub(super) fn read_cached(&self, range: ByteRange) -> io::Result<Option<Bytes>> {
        let (body, chunk, skip) = self.place(range)?;
        body.read_cached(chunk, skip, range.len() as usize)
    }

    pub(super) fn read_blocking(&self, range: ByteRange) -> io::Result<Bytes> {
        let (body, chunk, skip) = self.place(range)?;
        body.read(chunk, skip, range.len() as usize)
    }

    /// Has the disk bring a chunk into the page cache.
    pub(super) fn will_need(&self, chunk: ChunkIndex) -> io::Result<()> {
        let present = self.state.lock().present.contains(chunk);
        match present {
            true => self.opened()?.will_need(chunk),
            false => Ok(()),
        }
    }

    /// All bytes of a chunk, checked; from then on it counts as checked.
    pub(super) fn read_verified(&self, chunk: ChunkIndex) -> Result<Bytes, ReadError> {
        let length = self.length_of(chunk) as usize;
        let bytes = self.opened()?.read_verified(chunk, length)?;
        let mut state = self.state.lock();
        if state.present.contains(chunk) && !state.cast_off {
            state.verified.insert(chunk);
        }
        Ok(bytes)
    }

    pub(super) fn write_chunk(
        &self,
        chunk: ChunkIndex,
        segments: &[Bytes],
        checksum: u32,
    ) -> io::Result<()> {
        self.opened()?.write(chunk, segments, checksum)
    }

    pub(super) fn punch(&self, chunk: ChunkIndex) -> io::Result<()> {
        self.opened()?.punch(chunk)
    }

    fn opened(&self) -> io::Result<&Body> {
        self.body
            .get()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn place(&self, range: ByteRange) -> io::Result<(&Body, ChunkIndex, u64)> {
        let size = u64::from(self.chunk_size);
        let chunk = crate::domain::chunk_at(self.chunk_size, range.start());
        Ok((self.opened()?, chunk, range.start() % size))
    }

    fn length_of(&self, chunk: ChunkIndex) -> u64 {
        let known = self.grid().and_then(|grid| grid.bytes_of(chunk));
        known.map_or(u64::from(self.chunk_size), ByteRange::len)
    }
}
