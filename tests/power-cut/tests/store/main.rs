//! What the store acknowledged survives power cuts: clients append through the real store, the power goes in the
//! middle of any operation, and the store opens again on what the disk has left.
//!
//! `POWER_CUT_ROUNDS=1000` for a long run; `POWER_CUT_SEED` repeats the choices of an earlier one, though not the
//! order in which its threads ran.

#![expect(clippy::unwrap_used, reason = "a test")]

mod check;
mod clients;
mod moment;

use std::{collections::BTreeMap, sync::Arc};

use fastrand::Rng;
use image_usage_operator::store::{SqliteStore, Upkeep};
use power_cut::{Disk, Image, Lie, Loss, Operation, register};
use tempfile::TempDir;

use clients::{Clients, DATABASE};
use moment::Moment;

/// Rounds after which a new disk is taken, so that cuts also come into the making of the file.
const ROUNDS_OF_A_DISK: u32 = 20;
/// Rounds within which a disk that lies must be found out.
const FOUND_OUT_WITHIN: u32 = 200;

/// How often a cut came into an operation on a file.
type Cuts = BTreeMap<(Operation, String), u32>;

/// A disk through its power cuts, and the clients of the store on it.
struct Trial {
    seed: u64,
    random: Rng,
    folders: [TempDir; 2],
    lie: Lie,
    image: Image,
    clients: Clients,
    cuts: Cuts,
}

impl Trial {
    fn new(lie: Lie) -> Self {
        register().unwrap();
        let seed =
            std::env::var("POWER_CUT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        println!("seed {seed}");
        Self {
            seed,
            random: Rng::with_seed(seed),
            folders: [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
            lie,
            image: Image::new(),
            clients: Clients::default(),
            cuts: Cuts::new(),
        }
    }

    /// One after the other, until something is wrong; says what.
    async fn rounds(&mut self, rounds: u32) -> Result<(), String> {
        for round in 0..rounds {
            if round % ROUNDS_OF_A_DISK == 0 {
                self.image.clear();
                self.clients = Clients::default();
            }
            let done = self.round().await;
            done.map_err(|error| format!("round {round}, seed {}: {error}", self.seed))?;
        }
        Ok(())
    }

    /// From one power cut to the next. The store finds the disk as the last cut left it.
    async fn round(&mut self) -> Result<(), String> {
        let folder = self.folders[0].path();
        let moment = Moment::any(&mut self.random);
        let disk = Disk::mount(
            folder,
            std::mem::take(&mut self.image),
            self.lie,
            moment.into_goes(),
        );
        let is_out = || disk.cut_in().is_some();
        match SqliteStore::open(&folder.join(DATABASE), |_, _| {}) {
            Ok(store) => {
                let store = Arc::new(store);
                self.clients
                    .append(&store, self.random.u32(1..200), is_out)
                    .await?;
                // A cut in the middle of an end as well.
                let closed = store.close().await;
                closed.or_else(|error| if is_out() { Ok(()) } else { Err(error.to_string()) })?;
            }
            Err(error) if !is_out() => return Err(error.to_string()),
            Err(_) => {}
        }
        if let Some(cut_in) = disk.cut_in() {
            *self.cuts.entry(cut_in).or_default() += 1;
        }
        let loss = Loss::any(&mut self.random);
        self.image = disk.cut(loss, &mut self.random);
        check::what_is_left(self.folders[1].path(), &self.image, &self.clients)
            .await
            .map_err(|error| {
                format!(
                    "after a cut in {:?} with a loss of {loss:?}: {error}",
                    disk.cut_in()
                )
            })
    }
}

fn rounds() -> u32 {
    std::env::var("POWER_CUT_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_there_once_after_a_power_cut() {
    let mut trial = Trial::new(Lie::None);
    let done = trial.rounds(rounds()).await;
    for ((operation, file), times) in &trial.cuts {
        println!("{times} cuts in {operation:?} of {file}");
    }
    done.unwrap();
    if rounds() >= 1000 {
        for (operation, file) in moment::RARE {
            let cut_in = (operation, file.to_owned());
            assert!(trial.cuts.contains_key(&cut_in), "no cut came into {cut_in:?}");
        }
    }
}

/// The same rounds must fail where a disk says that it has synced and has not.
async fn is_found_out(lie: Lie) {
    let found = Trial::new(lie).rounds(FOUND_OUT_WITHIN).await;
    println!("{}", found.unwrap_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_syncs_no_file_is_found_out() {
    is_found_out(Lie::Files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_syncs_no_name_is_found_out() {
    is_found_out(Lie::Names).await;
}
