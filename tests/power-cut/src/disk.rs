//! One disk: the files of one folder, and the moment at which its power goes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;

use crate::{
    contents::{Contents, Loss},
    directory::{Directory, FileId},
    locks::FileLocks,
    memory::SharedMemory,
};

/// What a disk holds: each file's bytes by its name.
pub type Image = BTreeMap<String, Vec<u8>>;

/// What a disk says of its syncs and does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Everything is as it says.
    None,
    /// What is in files is never made durable.
    Files,
    /// Which files there are is never made durable.
    Names,
}

/// What a program does that a cut may come into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A file is made.
    Create,
    /// A file is written to.
    Write,
    /// A file's length is changed.
    Truncate,
    /// A file is synced.
    Sync,
    /// A file is deleted.
    Delete,
}

/// The power is out.
#[derive(Debug)]
pub(crate) struct PowerIsOut;

/// A disk mounted on a folder, until it is dropped. What the folder has on the real disk is hidden from `SQLite`
/// and left alone.
pub struct Disk {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) struct State {
    files: Vec<File>,
    directory: Directory,
    lie: Lie,
    power: Power,
}

type Goes = dyn FnMut(Operation, &str) -> bool + Send;

enum Power {
    /// Until this says that it goes in the middle of an operation on a file.
    On(Box<Goes>),
    /// Since it went in the middle of something, done to the file of this name; or since somebody cut it.
    Out(Option<(Operation, String)>),
}

#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) contents: Contents,
    pub(crate) locks: FileLocks,
    pub(crate) memory: SharedMemory,
}

static MOUNTED: LazyLock<Mutex<BTreeMap<PathBuf, Shared>>> = LazyLock::new(Mutex::default);

/// What was locked is whole also after a panic elsewhere: the tests that panicked fail by themselves.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk that a path lies on, and the file's name there.
pub(crate) fn at(path: &str) -> Option<(Shared, String)> {
    let path = Path::new(path);
    let name = path.file_name()?.to_str()?.to_owned();
    let disk = locked(&MOUNTED).get(path.parent()?)?.clone();
    Some((disk, name))
}

impl Disk {
    /// Mounts a disk with these files, all durable. Its power goes in the middle of the operation, on the file of
    /// that name, to which `goes` says yes.
    #[must_use]
    pub fn mount(
        folder: &Path,
        image: Image,
        lie: Lie,
        goes: impl FnMut(Operation, &str) -> bool + Send + 'static,
    ) -> Self {
        let (mut files, mut directory) = (Vec::new(), Directory::default());
        for (name, bytes) in image {
            directory.create(&name, files.len());
            files.push(File {
                contents: Contents::durable(bytes),
                ..File::default()
            });
        }
        directory.sync();
        let state = Arc::new(Mutex::new(State {
            files,
            directory,
            lie,
            power: Power::On(Box::new(goes)),
        }));
        locked(&MOUNTED).insert(folder.to_owned(), state.clone());
        Self {
            folder: folder.to_owned(),
            state,
        }
    }

    /// What the power cut came into, and the file's name; `None` while there is power.
    #[must_use]
    pub fn cut_in(&self) -> Option<(Operation, String)> {
        match &locked(&self.state).power {
            Power::On(_) => None,
            Power::Out(cut_in) => cut_in.clone(),
        }
    }

    /// Cuts the power, unless it is out already; what is left.
    pub fn cut(&self, loss: Loss, random: &mut Rng) -> Image {
        let mut state = locked(&self.state);
        if !state.is_out() {
            state.power = Power::Out(None);
        }
        let names = state.directory.cut(loss, random);
        names
            .into_iter()
            .map(|(name, file)| (name, state.files[file].contents.cut(loss, random)))
            .collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        locked(&MOUNTED).remove(&self.folder);
    }
}

impl State {
    /// A disk that nobody mounts and whose power stays.
    pub(crate) fn unmounted() -> Shared {
        Arc::new(Mutex::new(Self {
            files: Vec::new(),
            directory: Directory::default(),
            lie: Lie::None,
            power: Power::On(Box::new(|_, _| false)),
        }))
    }

    /// Each operation that changes something asks first. Without power it does not happen.
    fn use_power(&mut self, operation: Operation, name: &str) -> Result<(), PowerIsOut> {
        let goes = match &mut self.power {
            Power::On(goes) => goes(operation, name),
            Power::Out(_) => return Err(PowerIsOut),
        };
        if goes {
            self.power = Power::Out(Some((operation, name.to_owned())));
            return Err(PowerIsOut);
        }
        Ok(())
    }

    pub(crate) fn is_out(&self) -> bool {
        matches!(self.power, Power::Out(_))
    }

    pub(crate) fn file(&mut self, file: FileId) -> &mut File {
        &mut self.files[file]
    }

    pub(crate) fn find(&self, name: &str) -> Option<FileId> {
        self.directory.find(name)
    }

    pub(crate) fn create(&mut self, name: &str) -> Result<FileId, PowerIsOut> {
        self.use_power(Operation::Create, name)?;
        let file = self.nameless();
        self.directory.create(name, file);
        Ok(file)
    }

    /// A file that no name leads to.
    pub(crate) fn nameless(&mut self) -> FileId {
        self.files.push(File::default());
        self.files.len() - 1
    }

    pub(crate) fn write(
        &mut self,
        file: FileId,
        name: &str,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), PowerIsOut> {
        if !self.is_out() {
            // Also the write that the cut comes into may be there, or a part of it.
            self.files[file].contents.write(offset, bytes);
        }
        self.use_power(Operation::Write, name)
    }

    pub(crate) fn resize(&mut self, file: FileId, name: &str, length: usize) -> Result<(), PowerIsOut> {
        self.use_power(Operation::Truncate, name)?;
        self.files[file].contents.resize(length);
        Ok(())
    }

    /// Makes a file's bytes durable, and with `names` also which files there are.
    pub(crate) fn sync(&mut self, file: FileId, name: &str, names: bool) -> Result<(), PowerIsOut> {
        self.use_power(Operation::Sync, name)?;
        if self.lie != Lie::Files {
            self.files[file].contents.sync();
        }
        if names {
            self.sync_names();
        }
        Ok(())
    }

    /// Whether it was there.
    pub(crate) fn delete(&mut self, name: &str, sync: bool) -> Result<bool, PowerIsOut> {
        self.use_power(Operation::Delete, name)?;
        let was_there = self.directory.delete(name);
        if sync {
            self.sync_names();
        }
        Ok(was_there)
    }

    fn sync_names(&mut self) {
        if self.lie != Lie::Names {
            self.directory.sync();
        }
    }
}
