//! The kinds of clients, behind one face.

use super::auditor::Auditor;
use super::consumer::Consumer;
use super::member::Member;
use super::operator::Operator;
use super::producer::Producer;
use super::remote::{Ctx, Remote};
use super::truth::{Standing, Truth};
use super::violation::Violation;
use engine::time::Mono;

/// One client. Calling order: [`Client::act`] whenever its connection was touched or [`Client::due`] has come.
pub(crate) enum Client {
    Producer(Producer),
    Consumer(Consumer),
    Member(Member),
    Auditor(Auditor),
    Operator(Box<Operator>),
}

impl Client {
    pub(crate) fn remote(&self) -> &Remote {
        match self {
            Client::Producer(producer) => &producer.remote,
            Client::Consumer(consumer) => &consumer.remote,
            Client::Member(member) => &member.remote,
            Client::Auditor(auditor) => &auditor.remote,
            Client::Operator(operator) => &operator.remote,
        }
    }

    pub(crate) fn remote_mut(&mut self) -> &mut Remote {
        match self {
            Client::Producer(producer) => &mut producer.remote,
            Client::Consumer(consumer) => &mut consumer.remote,
            Client::Member(member) => &mut member.remote,
            Client::Auditor(auditor) => &mut auditor.remote,
            Client::Operator(operator) => &mut operator.remote,
        }
    }

    /// When it wants to act although it hears nothing.
    pub(crate) fn due(&self) -> Mono {
        match self {
            Client::Producer(producer) => producer.due(),
            Client::Consumer(consumer) => consumer.due(),
            Client::Member(member) => member.due(),
            Client::Auditor(auditor) => auditor.due(),
            Client::Operator(operator) => operator.due(),
        }
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        match self {
            Client::Producer(producer) => producer.act(ctx),
            Client::Consumer(consumer) => consumer.act(ctx),
            Client::Member(member) => member.act(ctx),
            Client::Auditor(auditor) => auditor.act(ctx),
            Client::Operator(operator) => operator.act(ctx),
        }
    }

    /// Nothing is outstanding.
    pub(crate) fn is_settled(&self, ctx: &Ctx<'_>) -> bool {
        match self {
            Client::Producer(producer) => producer.is_settled(ctx),
            Client::Consumer(consumer) => consumer.is_settled(ctx),
            Client::Member(member) => member.is_settled(ctx),
            Client::Auditor(auditor) => auditor.is_done(),
            Client::Operator(operator) => operator.is_settled(),
        }
    }

    /// Who it is and what it waits for, for a report.
    pub(crate) fn plight(&self, ctx: &Ctx<'_>) -> String {
        let who = &self.remote().who;
        match self {
            Client::Consumer(consumer) => format!("{who}, {}", consumer.plight(ctx)),
            Client::Member(member) => format!("{who}, {}", member.plight()),
            Client::Producer(producer) => format!("{who}, {}", producer.plight()),
            Client::Operator(operator) => format!("{who}, {}", operator.plight()),
            Client::Auditor(_) => who.clone(),
        }
    }

    /// What it worked with is deleted.
    pub(crate) fn is_out_of_work(&self, truth: &Truth) -> bool {
        match self {
            Client::Producer(producer) => truth.topics[producer.part.topic].standing == Standing::Deleted,
            Client::Consumer(consumer) => consumer.is_out_of_work(),
            Client::Member(member) => member.is_out_of_work(),
            Client::Auditor(_) | Client::Operator(_) => false,
        }
    }
}
