//! How long things take, for people: the histograms of a registry in one line each.

use std::fmt::Write;

use prometheus::Registry;
use prometheus::proto::{Histogram, Metric};

use super::html::Text;

/// The times in `registry`, as a table. What has not happened yet has no line.
pub fn table(registry: &Registry) -> String {
    let mut rows = String::new();
    for family in registry.gather() {
        let Some(name) = family.name().strip_suffix("_seconds") else { continue };
        for metric in family.get_metric() {
            let times = metric.get_histogram();
            if times.get_sample_count() > 0 {
                row(&mut rows, &format!("{name} {}", labels(metric)), times);
            }
        }
    }
    format!(
        "<h2>Times</h2><table><tr><th class=text>of<th>how many<th>mean<th>half within<th>99 of 100 within</tr>\
         {rows}</table>"
    )
}

fn labels(metric: &Metric) -> String {
    let pairs = metric.get_label().iter().map(|label| format!("{}={}", label.name(), label.value()));
    pairs.collect::<Vec<_>>().join(" ")
}

fn row(out: &mut String, what: &str, times: &Histogram) {
    let count = times.get_sample_count();
    let mean = times.get_sample_sum() / count as f64;
    // Writing into a string does not fail.
    let _ = write!(
        out,
        "<tr><td class=text>{}<td>{count}<td>{:.3} ms<td>{}<td>{}</tr>",
        Text(what.trim_end()),
        mean * 1e3,
        within(times, 0.5),
        within(times, 0.99)
    );
}

/// The limit that so much of all times keep. Only the limits that are counted by are known.
fn within(times: &Histogram, part: f64) -> String {
    let wanted = times.get_sample_count() as f64 * part;
    let limit = times.get_bucket().iter().find(|bucket| bucket.cumulative_count() as f64 >= wanted);
    match limit {
        Some(bucket) if bucket.upper_bound().is_finite() => format!("{:.3} ms", bucket.upper_bound() * 1e3),
        _ => "longer".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec};

    use super::*;

    #[test]
    fn a_line_for_each_thing_that_happened() {
        let registry = Registry::new();
        let options = HistogramOpts::new("a_call_seconds", "x").buckets(vec![0.001, 0.002, 0.004]);
        let times = HistogramVec::new(options, &["call"]).expect("sound options");
        registry.register(Box::new(times.clone())).expect("it is the first");
        for milliseconds in [0.5, 0.5, 1.5, 100.0] {
            times.with_label_values(&["<Get>"]).observe(milliseconds / 1e3);
        }
        let _never = times.with_label_values(&["Put"]);
        let table = table(&registry);
        let row = "<td class=text>a_call call=&lt;Get&gt;<td>4<td>25.625 ms<td>1.000 ms<td>longer</tr>";
        assert!(table.contains(row), "{table}");
        assert!(!table.contains("Put"), "{table}");
    }
}
