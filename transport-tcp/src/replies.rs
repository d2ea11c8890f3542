//! Answers in the order of their requests, whatever order they become known in.

use engine::mem::Slice;
use std::collections::VecDeque;

/// What became of one request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Send this.
    Send(Vec<Slice>),
    /// Nothing to send.
    Silence,
    /// Close the connection here.
    Close(String),
}

#[derive(Debug)]
enum Slot {
    Waiting,
    Known(Answer),
}

/// The requests of one connection that are not answered in order yet.
///
/// ```text
///  first = 7:   7 waiting | 8 known | 9 waiting        next request gets 10
/// ```
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// Position of the oldest request in `slots`.
    first: u64,
    slots: VecDeque<(Slot, usize)>,
    /// Frame bytes of the requests that wait.
    waiting_bytes: usize,
    waiting: usize,
}

impl Replies {
    /// Takes a request of `bytes` bytes in; its position is the answer.
    pub(crate) fn expect(&mut self, bytes: usize) -> u64 {
        self.slots.push_back((Slot::Waiting, bytes));
        self.waiting_bytes += bytes;
        self.waiting += 1;
        self.first + self.slots.len() as u64 - 1
    }

    /// Notes the answer to request `seq` and returns the bytes that it no longer holds.
    pub(crate) fn answer(&mut self, seq: u64, answer: Answer) -> usize {
        let index = usize::try_from(seq.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        let slot = self.slots.get_mut(index);
        assert!(matches!(slot, Some((Slot::Waiting, _))), "request {seq} is answered exactly once");
        let Some((slot, bytes)) = slot else { return 0 };
        *slot = Slot::Known(answer);
        self.waiting_bytes -= *bytes;
        self.waiting -= 1;
        *bytes
    }

    /// The next answer in order, if it is known.
    pub(crate) fn pop(&mut self) -> Option<Answer> {
        let (slot, bytes) = self.slots.pop_front()?;
        match slot {
            Slot::Known(answer) => {
                self.first += 1;
                Some(answer)
            }
            Slot::Waiting => {
                self.slots.push_front((slot, bytes));
                None
            }
        }
    }

    /// Requests without a known answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Requests whose answer is not sent on, known or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Frame bytes of the requests without a known answer.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(text: &'static str) -> Answer {
        Answer::Send(vec![Slice::from_static(text.as_bytes())])
    }

    fn popped(replies: &mut Replies) -> String {
        match replies.pop() {
            Some(Answer::Send(parts)) => parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect(),
            Some(Answer::Silence) => "silence".into(),
            Some(Answer::Close(reason)) => format!("close: {reason}"),
            None => "wait".into(),
        }
    }

    #[test]
    fn answers_wait_for_earlier_ones() {
        let mut replies = Replies::default();
        assert_eq!([10, 20, 30, 40].map(|bytes| replies.expect(bytes)), [0, 1, 2, 3]);
        assert_eq!(replies.answer(1, send("one")), 20);
        assert_eq!(popped(&mut replies), "wait");
        assert_eq!((replies.waiting(), replies.len(), replies.waiting_bytes()), (3, 4, 80));
        replies.answer(2, Answer::Silence);
        replies.answer(0, send("zero"));
        assert_eq!([(); 4].map(|()| popped(&mut replies)), ["zero", "one", "silence", "wait"]);
        replies.answer(3, Answer::Close("enough".into()));
        assert_eq!([(); 2].map(|()| popped(&mut replies)), ["close: enough", "wait"]);
        assert_eq!(replies.expect(1), 4);
    }

    #[test]
    #[should_panic(expected = "answered exactly once")]
    fn a_second_answer_is_our_mistake() {
        let mut replies = Replies::default();
        replies.expect(1);
        replies.answer(0, Answer::Silence);
        replies.answer(0, Answer::Silence);
    }
}
