use crate::{
    settings::StorePlace,
    store::{self, Findings, StoreError},
};

use super::{Streams, file, printable::printable, to_string};

pub(super) fn run(place: &StorePlace, streams: &mut Streams<'_>) -> Result<(), String> {
    let file = file(place)?;
    let Findings {
        schema,
        known,
        damages,
        counts,
    } = store::check(&file).map_err(to_string)?;
    let mut lines = vec![format!("schema: {schema}")];
    if schema != known {
        lines.push(format!("this version of the operator knows schema {known}"));
    }
    lines.extend(counts.iter().map(|(name, count)| format!("{name}: {count}")));
    lines.extend(
        damages
            .iter()
            .map(|damage| format!("damaged: {}", printable(damage))),
    );
    for line in lines {
        writeln!(streams.out, "{line}").map_err(to_string)?;
    }
    if damages.is_empty() {
        writeln!(streams.told, "{} is whole", file.display()).map_err(to_string)
    } else {
        Err(StoreError::Damaged(file.display().to_string()).to_string())
    }
}
