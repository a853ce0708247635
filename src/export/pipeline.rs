//! Work on many threads, with results in the order of the jobs.
//!
//! ```text
//! produce (one thread) ─> work (many) ─> consume (the caller's thread, in order)
//! ```
//!
//! There are never more than two unfinished jobs per worker, so that memory is bounded whichever
//! side is slow.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

/// Threads that work.
pub(crate) fn worker_count() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

/// Runs `produce`, which passes jobs to its argument until that breaks, `work` on each job, and
/// `consume` on each result in order. The first error ends all three.
pub(crate) fn in_order<Job, Done, E>(
    workers: usize,
    produce: impl FnOnce(&mut dyn FnMut(Job) -> ControlFlow<()>) -> Result<(), E> + Send,
    work: impl Fn(Job) -> Result<Done, E> + Sync,
    mut consume: impl FnMut(Done) -> Result<(), E>,
) -> Result<(), E>
where
    Job: Send,
    Done: Send,
    E: Send,
{
    let (job_sender, job_receiver) = channel::<(u64, Job)>();
    let (done_sender, done_receiver) = channel::<(u64, Result<Done, E>)>();
    let (permit_sender, permit_receiver) = sync_channel::<()>(workers * 2);
    let job_receiver = Mutex::new(job_receiver);
    thread::scope(|scope| {
        let producer = scope.spawn(move || {
            let mut number = 0;
            produce(&mut |job| {
                if permit_sender.send(()).is_err() || job_sender.send((number, job)).is_err() {
                    return ControlFlow::Break(());
                }
                number += 1;
                ControlFlow::Continue(())
            })
        });
        for _ in 0..workers {
            let done_sender = done_sender.clone();
            let (job_receiver, work) = (&job_receiver, &work);
            scope.spawn(move || {
                loop {
                    let Ok(next) = job_receiver.lock().map(|jobs| jobs.recv()) else {
                        return;
                    };
                    let Ok((number, job)) = next else { return };
                    if done_sender.send((number, work(job))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done_sender);

        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut outcome = Ok(());
        for (number, done) in &done_receiver {
            early.insert(number, done);
            while let Some(done) = early.remove(&next) {
                next += 1;
                outcome = done.and_then(&mut consume);
                if outcome.is_err() {
                    break;
                }
                let _ = permit_receiver.recv();
            }
            if outcome.is_err() {
                break;
            }
        }
        // Without receivers, the sends of the other threads fail, and the threads end.
        drop((done_receiver, permit_receiver));
        let produced = match producer.join() {
            Ok(produced) => produced,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        outcome.and(produced)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_are_in_order_and_few_jobs_are_unfinished() {
        let unfinished = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let mut seen = Vec::new();
        in_order::<u64, u64, ()>(
            3,
            |emit| {
                for job in 0..200 {
                    let now = unfinished.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    assert!(emit(job).is_continue());
                }
                Ok(())
            },
            |job| {
                thread::sleep(Duration::from_micros((job * 7919) % 300));
                Ok(job * 2)
            },
            |done| {
                unfinished.fetch_sub(1, Ordering::SeqCst);
                seen.push(done);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, (0..200).map(|job| job * 2).collect::<Vec<_>>());
        // Six permits, one job that waits for a permit, one whose permit isn't returned yet.
        assert!(most.load(Ordering::SeqCst) <= 8, "{most:?}");
    }

    #[test]
    fn an_error_anywhere_ends_all() {
        let endless = |emit: &mut dyn FnMut(u64) -> ControlFlow<()>| {
            let mut job = 0;
            while emit(job).is_continue() {
                job += 1;
            }
            Ok(())
        };
        let work = in_order(
            2,
            endless,
            |job| if job == 50 { Err(job) } else { Ok(job) },
            |_| Ok(()),
        );
        assert_eq!(work, Err(50));
        let consume = in_order(
            2,
            endless,
            Ok,
            |done| if done == 50 { Err(done) } else { Ok(()) },
        );
        assert_eq!(consume, Err(50));
        let produce = in_order(
            2,
            |emit| {
                emit(1)
                    .is_continue()
                    .then_some(())
                    .map_or(Ok(()), |()| Err(9))
            },
            Ok,
            |_: u64| Ok(()),
        );
        assert_eq!(produce, Err(9));
    }
}
