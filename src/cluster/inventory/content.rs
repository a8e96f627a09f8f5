//! What pods and templates consist of. Pods of one workload mostly agree in their
//! containers, images and digests, so that is kept once, and the indexes by repository
//! and by digest lead to it instead of to each pod.

use std::sync::Arc;

use super::{
    owner::Owner,
    pod::Pod,
    table::{Id, Interner, Keyed, Table},
    text::{Name, Names, cut, text_bytes},
};
use crate::{
    cluster::model::ContainerType,
    image::{Digest, Reference, RepositoryName, RunningDigest, RunningForm},
};

/// One container, with the digest that its status says runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) name: Id<Name>,
    pub(super) image: Id<Image>,
    pub(super) running: Option<Id<Running>>,
    pub(super) kind: ContainerType,
}

/// The same before its texts have ids.
#[derive(Debug)]
pub(super) struct NewPart<'a> {
    pub(super) kind: ContainerType,
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    pub(super) running: Option<RunningDigest>,
}

/// A list of parts that at least one pod or template consists of.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) parts: Box<[Part]>,
    pub(super) pods: Vec<Id<Pod>>,
    pub(super) templates: Vec<Id<Owner>>,
}

impl Keyed for Content {
    type Key = [Part];

    fn key(&self) -> &[Part] {
        &self.parts
    }
}

/// An image as a spec writes it. One that is no image reference has no repository.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) text: Arc<str>,
    pub(super) repository: Option<Id<Repository>>,
}

impl Keyed for Image {
    type Key = str;

    fn key(&self) -> &str {
        &self.text
    }
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) name: Arc<RepositoryName>,
    /// Where it is referred to.
    pub(super) contents: Vec<Id<Content>>,
}

impl Keyed for Repository {
    type Key = RepositoryName;

    fn key(&self) -> &RepositoryName {
        &self.name
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) digest: RunningDigest,
    /// Where it runs.
    pub(super) contents: Vec<Id<Content>>,
}

impl Keyed for Running {
    type Key = RunningDigest;

    fn key(&self) -> &RunningDigest {
        &self.digest
    }
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    names: Names,
    images: Interner<Image>,
    repositories: Interner<Repository>,
    running: Interner<Running>,
    distinct: Table<Content>,
    /// Reused from one object to the next.
    scratch: Vec<Part>,
    /// Heap bytes of what the records own.
    owned_bytes: usize,
}

impl Contents {
    /// The content with these parts. It must be joined at once: an empty one would
    /// never be removed.
    pub(super) fn get_or_insert<'a>(&mut self, parts: impl Iterator<Item = NewPart<'a>>) -> Id<Content> {
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        list.extend(parts.map(|part| self.acquire(&part)));
        let (id, is_new) = self.distinct.find_or_insert(&list, || Content {
            parts: list.as_slice().into(),
            pods: Vec::new(),
            templates: Vec::new(),
        });
        if is_new {
            self.owned_bytes += content_bytes(&list);
            self.index(id, &list);
        } else {
            for part in &list {
                self.release(part);
            }
        }
        self.scratch = list;
        id
    }

    /// Adds a pod; its place in the content, with which it leaves.
    pub(super) fn join_pod(&mut self, id: Id<Content>, pod: Id<Pod>) -> usize {
        let pods = &mut self.distinct.get_mut(id).pods;
        pods.push(pod);
        pods.len() - 1
    }

    /// Removes the pod at a place; the one that takes this place.
    pub(super) fn leave_pod(&mut self, id: Id<Content>, place: usize) -> Option<Id<Pod>> {
        let pods = &mut self.distinct.get_mut(id).pods;
        pods.swap_remove(place);
        let moved = pods.get(place).copied();
        self.remove_if_empty(id);
        moved
    }

    pub(super) fn join_template(&mut self, id: Id<Content>, owner: Id<Owner>) {
        self.distinct.get_mut(id).templates.push(owner);
    }

    /// Few templates share a content: one of each revision of a workload at most.
    pub(super) fn leave_template(&mut self, id: Id<Content>, owner: Id<Owner>) {
        let templates = &mut self.distinct.get_mut(id).templates;
        if let Some(place) = templates.iter().position(|&other| other == owner) {
            templates.swap_remove(place);
        }
        self.remove_if_empty(id);
    }

    pub(super) fn get(&self, id: Id<Content>) -> &Content {
        self.distinct.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Content> {
        self.distinct.iter().map(|(_, content)| content)
    }

    pub(super) fn name(&self, id: Id<Name>) -> &Arc<str> {
        &self.names.get(id).0
    }

    pub(super) fn image(&self, id: Id<Image>) -> &Image {
        self.images.get(id)
    }

    pub(super) fn running(&self, id: Id<Running>) -> &RunningDigest {
        &self.running.get(id).digest
    }

    pub(super) fn find_repository(&self, name: &RepositoryName) -> Option<Id<Repository>> {
        self.repositories.find(name)
    }

    pub(super) fn repositories(&self) -> Vec<Arc<RepositoryName>> {
        let repositories = self.repositories.iter();
        repositories
            .map(|(_, repository)| Arc::clone(&repository.name))
            .collect()
    }

    pub(super) fn repository(&self, id: Id<Repository>) -> &Repository {
        self.repositories.get(id)
    }

    /// The contents in which a digest runs, in each form that runtimes report it.
    pub(super) fn running_as(&self, digest: &Digest) -> impl Iterator<Item = (Id<Running>, &[Id<Content>])> {
        [RunningForm::Repository, RunningForm::Bare]
            .into_iter()
            .filter_map(move |form| {
                let id = self.running.find(&RunningDigest {
                    digest: digest.clone(),
                    form,
                })?;
                Some((id, &*self.running.get(id).contents))
            })
    }

    /// Repositories that a content refers to; one may come twice.
    pub(super) fn repositories_of(&self, id: Id<Content>) -> impl Iterator<Item = &Arc<RepositoryName>> {
        self.get(id).parts.iter().filter_map(|part| {
            let repository = self.image(part.image).repository?;
            Some(&self.repositories.get(repository).name)
        })
    }

    pub(super) fn images(&self) -> usize {
        self.images.len()
    }

    /// Images whose text is no image reference.
    pub(super) fn unreadable_images(&self) -> usize {
        self.images
            .iter()
            .filter(|(_, image)| image.repository.is_none())
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.len() == 0
            && self.images.len() == 0
            && self.repositories.len() == 0
            && self.running.len() == 0
            && self.distinct.len() == 0
            && self.owned_bytes == 0
    }

    pub(super) fn trim(&mut self) {
        self.names.trim();
        self.images.trim();
        self.repositories.trim();
        self.running.trim();
        self.distinct.trim();
    }

    /// Heap bytes, less those of the lists of pods, which [`Pod`] counts.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes()
            + self.images.bytes()
            + self.repositories.bytes()
            + self.running.bytes()
            + self.distinct.bytes()
            + self.owned_bytes
    }

    fn acquire(&mut self, part: &NewPart<'_>) -> Part {
        let Self {
            names,
            images,
            repositories,
            running,
            owned_bytes,
            ..
        } = self;
        let text = cut(part.name);
        let (name, is_new) = names.acquire(text, || Name(text.into()));
        if is_new {
            *owned_bytes += text_bytes(text);
        }
        let text = cut(part.image);
        let (image, is_new) = images.acquire(text, || {
            let repository = text.parse::<Reference>().ok().map(|reference| {
                let name = reference.repository;
                let bytes = repository_bytes(&name);
                let (id, is_new) = repositories.acquire(&name.clone(), || Repository {
                    name: Arc::new(name),
                    contents: Vec::new(),
                });
                if is_new {
                    *owned_bytes += bytes;
                }
                id
            });
            Image {
                text: text.into(),
                repository,
            }
        });
        if is_new {
            *owned_bytes += text_bytes(text);
        }
        let running = part.running.as_ref().map(|digest| {
            running
                .acquire(digest, || Running {
                    digest: digest.clone(),
                    contents: Vec::new(),
                })
                .0
        });
        Part {
            name,
            image,
            running,
            kind: part.kind,
        }
    }

    fn release(&mut self, part: &Part) {
        if let Some(name) = self.names.release(part.name) {
            self.owned_bytes -= text_bytes(&name.0);
        }
        if let Some(image) = self.images.release(part.image) {
            self.owned_bytes -= text_bytes(&image.text);
            if let Some(repository) = image.repository.and_then(|id| self.repositories.release(id)) {
                self.owned_bytes -= repository_bytes(&repository.name);
            }
        }
        if let Some(running) = part.running {
            self.running.release(running);
        }
    }

    fn index(&mut self, id: Id<Content>, parts: &[Part]) {
        for part in parts {
            if let Some(repository) = self.images.get(part.image).repository {
                push_once(&mut self.repositories.get_mut(repository).contents, id);
            }
            if let Some(running) = part.running {
                push_once(&mut self.running.get_mut(running).contents, id);
            }
        }
    }

    fn remove_if_empty(&mut self, id: Id<Content>) {
        let content = self.distinct.get(id);
        if !content.pods.is_empty() || !content.templates.is_empty() {
            return;
        }
        let content = self.distinct.remove(id);
        self.owned_bytes -= content_bytes(&content.parts);
        for part in &content.parts {
            if let Some(repository) = self.images.get(part.image).repository {
                remove_once(&mut self.repositories.get_mut(repository).contents, id);
            }
            if let Some(running) = part.running {
                remove_once(&mut self.running.get_mut(running).contents, id);
            }
            self.release(part);
        }
    }
}

/// The parts of one content are indexed one after the other: a double is the last.
fn push_once(contents: &mut Vec<Id<Content>>, id: Id<Content>) {
    if contents.last() != Some(&id) {
        contents.push(id);
    }
}

fn remove_once(contents: &mut Vec<Id<Content>>, id: Id<Content>) {
    if let Some(place) = contents.iter().position(|&other| other == id) {
        contents.swap_remove(place);
    }
}

/// Heap bytes of a content's parts and of its places in the indexes.
fn content_bytes(parts: &[Part]) -> usize {
    16 + parts.len() * (size_of::<Part>() + 2 * size_of::<Id<Content>>())
}

/// Two counts, two texts with their owners, and malloc's headers.
fn repository_bytes(name: &RepositoryName) -> usize {
    16 + size_of::<RepositoryName>() + name.host.len() + name.path.len() + 3 * 16
}
