//! What a run of measurements says.

use crate::once::Measured;

pub(crate) fn print(raw: &[Measured], sync: &[Measured]) {
    println!(
        "            wall: lower quartile, median, best  | processor | resident: all, peak, grown | bytes a pod"
    );
    for (name, results) in [("raw stream", raw), ("first sync", sync)] {
        println!(
            "{name:<11} {:>9.3} s {:>8.3} s {:>7.3} s     | {:>7.2} s | {:>5.1} {:>5.1} {:>5.1} MiB      | {}",
            quantile(results, 0.25, |one| one.wall).as_secs_f64(),
            quantile(results, 0.5, |one| one.wall).as_secs_f64(),
            quantile(results, 0.0, |one| one.wall).as_secs_f64(),
            quantile(results, 0.5, |one| one.processor).as_secs_f64(),
            mebibytes(quantile(results, 0.5, |one| one.resident)),
            mebibytes(quantile(results, 0.5, |one| one.peak)),
            mebibytes(quantile(results, 0.5, |one| one.grown)),
            quantile(results, 0.5, |one| one.grown / one.pods.max(1)),
        );
    }
    let lower = |results: &[Measured]| quantile(results, 0.25, |one| one.wall).as_secs_f64();
    let pods = quantile(sync, 0.5, |one| one.pods);
    println!("pods: {pods}, rounds: {}", sync.len());
    println!(
        "first sync / raw stream, lower quartiles: {:.3}",
        lower(sync) / lower(raw)
    );
    println!(
        "resident growth of sync less that of raw: {} bytes a pod",
        quantile(sync, 0.5, |one| one.grown).saturating_sub(quantile(raw, 0.5, |one| one.grown))
            / pods.max(1)
    );
    println!(
        "inventory's own estimate: {} bytes a pod",
        quantile(sync, 0.5, |one| one.estimate) / pods.max(1)
    );
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a short list"
)]
fn quantile<T>(results: &[Measured], share: f64, of: impl Fn(&Measured) -> T) -> T
where
    T: Ord + Copy + Default,
{
    let mut values: Vec<_> = results.iter().map(of).collect();
    values.sort_unstable();
    let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
