//! Whether the file system of the folder for temporary files has enough room.

use crate::Result;

/// Bytes that are left to others, and to what a server writes while it works.
const KEPT_FREE: u64 = 3_000_000_000;

/// Says what so many events will take, and refuses where that is more than there is.
pub(super) fn expect(bytes: u64, events: u64) -> Result<()> {
    let room = free()?.saturating_sub(KEPT_FREE);
    println!(
        "expected on the disk: {:.1} GB, {} bytes an event; there is room for {:.1} GB",
        gigabytes(bytes),
        bytes / events,
        gigabytes(room)
    );
    if bytes > room {
        return Err(format!(
            "{} has no room for {events} events, only for about {}: ask for fewer, or name another folder in TMPDIR",
            std::env::temp_dir().display(),
            u128::from(room) * u128::from(events) / u128::from(bytes)
        )
        .into());
    }
    Ok(())
}

/// Refuses to go on where little is left, whatever was expected.
pub(super) fn check() -> Result<()> {
    if free()? < KEPT_FREE / 2 {
        return Err(format!("{} is nearly full", std::env::temp_dir().display()).into());
    }
    Ok(())
}

fn free() -> Result<u64> {
    let system = rustix::fs::statvfs(std::env::temp_dir())?;
    Ok(system.f_bavail * system.f_frsize)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
