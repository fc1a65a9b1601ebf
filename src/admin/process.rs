//! What Prometheus' clients measure of every process, with the time of the processor as it is: the
//! library has whole seconds, of which a process that does little shows none for minutes.

use prometheus::{
    core::{Collector, Desc},
    process_collector::ProcessCollector,
    proto::MetricFamily,
};
use rustix::time::{ClockId, clock_gettime};

/// The process that this is.
pub(super) struct Process(ProcessCollector);

const CPU: &str = "process_cpu_seconds_total";

impl Process {
    pub fn own() -> Self {
        Self(ProcessCollector::for_self())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        let cpu = families.iter_mut().find(|family| family.name() == CPU);
        for metric in cpu.into_iter().flat_map(|cpu| cpu.mut_metric()) {
            let mut exact = metric.get_counter().clone();
            exact.set_value(cpu_seconds());
            metric.set_counter(exact);
        }
        families
    }
}

/// What all threads have used, those that have ended included, of user and system.
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_processor_is_seen() {
        let process = Process::own();
        let seconds = || {
            let families = process.collect();
            let cpu = families.iter().find(|family| family.name() == CPU);
            let cpu = cpu.expect("the library measures it");
            cpu.get_metric()[0].get_counter().get_value()
        };
        let before = seconds();
        // Less than a second of it, and more than nothing.
        let busy = std::time::Instant::now();
        while busy.elapsed().as_millis() < 50 {}
        let used = seconds() - before;
        assert!(used > 0.001 && used.fract() > 0.0, "{used}");
    }
}
