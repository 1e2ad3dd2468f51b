//! What each action does.

use farebox_core::{Decision, Rid};
use farebox_ledger::{
    Admission, Answer, Budget, Closing, Ended, Ending, Reserve, Step, Terms, Transaction, Update,
    archive, update,
};

use super::mutants::{always, is_extend, is_reserve};
use super::{
    Action, Cached, Event, HOLD, Machine, Message, Mutant, Refused, Request, Stage, State, World,
    clock, hold, hold_of, owner, pico, rid_of, settings,
};
use crate::support::Store;

/// What a machine came to.
enum Came {
    To(Admission, bool),
    Extended(i128),
    AnEnd(Ended),
}

impl World {
    /// The state after an action.
    pub(super) fn after(&self, state: &State, action: &Action) -> State {
        let mut next = state.clone();
        match *action {
            Action::Start(call) => self.start(&mut next, call),
            Action::Again(call) => self.again(&mut next, call),
            Action::GiveUp(call) => next.calls[call].stage = Stage::Over,
            Action::Timeout(call, lane) => self.time_out(&mut next, call, lane),
            Action::Extend(call) => self.extend(&mut next, call),
            Action::Unknown(call, bill) => {
                next.calls[call].bill = bill;
                self.end_unknown(&mut next, call);
            }
            Action::Outcome(call, decision, bill) => {
                next.calls[call].bill = bill;
                self.end(&mut next, call, decision);
            }
            Action::Enqueue(call, is_lost) => self.enqueue(&mut next, call, is_lost),
            Action::Crash(call, bill) => {
                let call = &mut next.calls[call];
                (call.stage, call.is_crashed, call.is_queue_due) = (Stage::Dead, true, false);
                call.bill = call.bill.max(bill);
                call.lanes.iter_mut().for_each(|lane| lane.machine = None);
                next.crashes -= 1;
            }
            Action::Lose(at) => drop(next.wire.remove(at)),
            Action::Deliver(at, is_heard) => self.deliver(&mut next, at, is_heard),
            Action::Hear(at, is_again) => self.hear(&mut next, at, is_again),
            Action::Sweep(scope, rid) => self.sweep(&mut next, scope, rid),
            Action::Close(scope) => self.close(&mut next, scope),
            Action::Period => next.period = 1,
            Action::Limit => {
                let epoch = next.budget(0).terms.epoch;
                let limit = settings(self.config.limits[1]);
                self.write(&mut next, &[update::limit_change(&owner(0), &limit, epoch)]);
                next.is_limit_changed = true;
            }
        }
        self.prune_fences(&mut next);
        next
    }

    pub(super) fn start(&self, state: &mut State, call: usize) {
        let place = &mut state.calls[call];
        place.period = state.period;
        place.stage = Stage::Reserving;
        let at = clock(place.period);
        for lane in 0..state.calls[call].lanes.len() {
            state.calls[call].lanes[lane].tries = 0;
            let scope = state.calls[call].lanes[lane].scope;
            let terms: Terms = state.budget(scope).terms;
            let rid = state.calls[call].rid(call);
            let machine = Reserve::new(owner(scope), rid, pico(HOLD), terms, at, 60);
            self.pump(state, call, lane, Machine::Reserve(Box::new(machine)), 0);
        }
        self.conclude(state, call);
    }

    /// Lets a machine run until it has sent something or is over.
    pub(super) fn pump(
        &self,
        state: &mut State,
        call: usize,
        lane: usize,
        mut machine: Machine,
        late: i64,
    ) {
        let now = clock(state.calls[call].period).plus_ms(late);
        let mut came = None;
        let request = loop {
            match &mut machine {
                Machine::Reserve(reserve) => match reserve.step(now) {
                    Step::Send(update) => break Some(Request::One(update)),
                    Step::Pause { .. } => {}
                    Step::Done(done) => {
                        came = Some(Came::To(done.admission, done.ambiguous));
                        break None;
                    }
                    Step::Transact(_) | Step::Read(_) => panic!("a reserve is one write"),
                },
                Machine::Extend(extend) => match extend.step(now) {
                    Step::Send(update) => break Some(Request::One(update)),
                    Step::Pause { .. } => {}
                    Step::Done(done) => {
                        came = Some(Came::Extended(done.hold.amount.pico()));
                        break None;
                    }
                    Step::Transact(_) | Step::Read(_) => panic!("an extension is one write"),
                },
                Machine::Ending(ending) => match ending.step(now) {
                    Step::Send(update) => break Some(Request::One(update)),
                    Step::Transact(transaction) => break Some(Request::Many(transaction)),
                    Step::Read(key) => break Some(Request::Read(key)),
                    Step::Pause { .. } => {}
                    Step::Done(ended) => {
                        came = Some(Came::AnEnd(ended));
                        break None;
                    }
                },
            }
        };
        let is_round = state.calls[call].stage == Stage::Voiding;
        let place = &mut state.calls[call].lanes[lane];
        match came {
            Some(Came::To(admission, is_ambiguous)) => {
                place.is_held = admission == Admission::Held;
                if self.config.waits > 0 {
                    place.refused = Refused::of(&admission);
                }
                place.is_ambiguous = is_ambiguous;
            }
            Some(Came::Extended(amount)) => place.amount = amount,
            // What a round's void has not finished stays open, for the queue.
            Some(Came::AnEnd(ended)) if is_round && !matches!(ended, Ended::HandOver(_)) => {
                (place.is_held, place.is_ambiguous) = (false, false);
            }
            Some(Came::AnEnd(_)) | None => {}
        }
        place.machine = request.is_some().then(|| Cached::new(machine));
        let Some(request) = request else { return };
        place.sent += 1;
        let number = place.sent;
        let round = state.calls[call].round;
        let is_reserve = matches!(&request, Request::One(one) if is_reserve(one));
        let request = self.as_sent(state, call, request, is_reserve);
        let copies = 1 + u8::from(is_reserve && self.is(Mutant::PlainAdd));
        let request = Cached::new(request);
        state.wire.push(Message { call, lane, number, round, is_reserve, copies, request });
        state.wire.sort_by_key(|message| (message.call, message.lane, message.number));
    }

    fn as_sent(&self, state: &State, _call: usize, request: Request, is_reserve: bool) -> Request {
        match request {
            Request::One(one) => {
                let mut one = self.mutate(one, state.period);
                if is_reserve && self.is(Mutant::ReadThenWrite) {
                    let mut seen = Store::clone(&state.store.value);
                    if seen.apply(&one) == Answer::Applied {
                        always(&mut one);
                    }
                }
                Request::One(one)
            }
            Request::Many(many) => {
                let actions = many.actions.into_iter();
                let actions = actions.map(|one| self.mutate(one, state.period)).collect();
                Request::Many(Transaction { actions })
            }
            Request::Read(key) => Request::Read(key),
        }
    }

    /// No answer in time: the next attempt, or the end of the machine's time.
    fn time_out(&self, state: &mut State, call: usize, lane: usize) {
        let place = &mut state.calls[call].lanes[lane];
        place.tries += 1;
        let late = if place.tries >= self.config.attempts { 10_000 } else { 0 };
        let machine = place.machine.clone().unwrap();
        self.tell(state, call, lane, &machine, Answer::Ambiguous, late);
    }

    fn tell(
        &self,
        state: &mut State,
        call: usize,
        lane: usize,
        machine: &Cached<Machine>,
        answer: Answer,
        late: i64,
    ) {
        let now = clock(state.calls[call].period);
        let mut machine = Machine::clone(&machine.value);
        match &mut machine {
            Machine::Reserve(reserve) => reserve.observe(answer, now, 0),
            Machine::Extend(extend) => extend.observe(answer, 0),
            Machine::Ending(_) if self.is_taken_for_done(state, call, &answer) => {
                state.calls[call].lanes[lane].machine = None;
                return self.conclude(state, call);
            }
            Machine::Ending(ending) => ending.observe(answer, now, 0),
        }
        self.pump(state, call, lane, machine, late);
        self.conclude(state, call);
    }

    /// All scopes have answered: the call goes out, or what is held is voided; or it is over.
    pub(super) fn conclude(&self, state: &mut State, at: usize) {
        let call = &mut state.calls[at];
        if call.lanes.iter().any(|lane| lane.machine.is_some()) {
            return;
        }
        match call.stage {
            Stage::Reserving if call.lanes.iter().all(|lane| lane.is_held) => {
                call.stage = Stage::Calling;
            }
            Stage::Reserving if call.waits > 0 && call.is_contended() => self.void_round(state, at),
            Stage::Voiding => call.end_round(),
            Stage::Reserving => {
                let is_open = call.lanes.iter().any(|lane| lane.is_held || lane.is_ambiguous);
                if is_open && !self.is(Mutant::NoCompensation) {
                    self.end(state, at, Decision::Void);
                } else {
                    call.stage = Stage::Over;
                }
            }
            Stage::Ending if !call.is_queue_due => call.stage = Stage::Over,
            Stage::Idle
            | Stage::Waiting
            | Stage::Calling
            | Stage::Ending
            | Stage::Over
            | Stage::Dead => {}
        }
    }

    fn end(&self, state: &mut State, at: usize, decision: Decision) {
        state.calls[at].decide(decision);
        self.end_lanes(state, at, decision);
    }

    pub(super) fn end_lanes(&self, state: &mut State, at: usize, decision: Decision) {
        let call = &mut state.calls[at];
        (call.stage, call.is_queue_due) = (Stage::Ending, true);
        for lane in 0..call.lanes.len() {
            let place = &mut state.calls[at].lanes[lane];
            place.tries = 0;
            if !place.is_held && !place.is_ambiguous {
                place.machine = None;
                continue;
            }
            let (is_ambiguous, amount) = (place.is_ambiguous, place.amount);
            let ending = self.ending(state, at, lane, decision, is_ambiguous, amount);
            self.pump(state, at, lane, Machine::Ending(Box::new(ending)), 0);
        }
    }

    #[expect(clippy::unused_self, reason = "it stands beside the machine of a reserve")]
    pub(super) fn ending(
        &self,
        state: &State,
        at: usize,
        lane: usize,
        decision: Decision,
        is_ambiguous: bool,
        amount: i128,
    ) -> Ending {
        let (call, rid) = (&state.calls[at], state.calls[at].rid(at));
        let (owner, hold) = (owner(call.lanes[lane].scope), hold_of(call.period, amount));
        Ending::new(owner, rid, Some(hold), decision, is_ambiguous, clock(call.period))
    }

    fn enqueue(&self, state: &mut State, at: usize, is_lost: bool) {
        let call = &mut state.calls[at];
        call.is_queue_due = false;
        for (lane, place) in call.lanes.iter().enumerate() {
            if !is_lost && (place.is_held || place.is_ambiguous) {
                let is_ambiguous = place.is_ambiguous && !self.is(Mutant::QueueNoFence);
                let copies = self.config.copies;
                let amount = place.amount;
                state.events.push(Event { call: at, lane, is_ambiguous, amount, copies });
            }
        }
        state.events.sort_by_key(|event| (event.call, event.lane));
        self.conclude(state, at);
    }

    fn deliver(&self, state: &mut State, at: usize, is_heard: bool) {
        let message = state.wire[at].clone();
        state.wire[at].copies -= 1;
        state.wire.retain(|message| message.copies > 0);
        let mut item = None;
        let answer = match &*message.request.value {
            Request::One(one) => {
                let answer = self.write(state, std::slice::from_ref(one));
                if (message.is_reserve || is_extend(one)) && answer == Answer::Applied {
                    self.check_admission(state, &message);
                }
                Some(answer)
            }
            Request::Many(many) => Some(self.write(state, &many.actions)),
            Request::Read(key) => {
                item = state.store.value.get(key).filter(|_| !self.is(Mutant::NoAdjust));
                None
            }
        };
        let lane = &state.calls[message.call].lanes[message.lane];
        let is_awaited = lane.sent == message.number;
        let Some(machine) = lane.machine.clone().filter(|_| is_heard && is_awaited) else { return };
        match answer {
            Some(answer) => self.tell(state, message.call, message.lane, &machine, answer, 0),
            None => {
                let mut machine = Machine::clone(&machine.value);
                if let Machine::Ending(ending) = &mut machine {
                    ending.observe_item(item);
                }
                self.pump(state, message.call, message.lane, machine, 0);
                self.conclude(state, message.call);
            }
        }
    }

    /// Performs writes, together or not at all.
    fn write(&self, state: &mut State, actions: &[Update]) -> Answer {
        let mut store = Store::clone(&state.store.value);
        let answer = match actions {
            [one] => self.apply(&mut store, one),
            many => store.transact(&Transaction { actions: many.to_vec() }),
        };
        if answer == Answer::Applied {
            state.store = Cached::new(store);
        }
        answer
    }

    /// The logger tells an event to an ending of its own, at once and without a fault.
    fn hear(&self, state: &mut State, at: usize, is_again: bool) {
        let event = state.events[at].clone();
        state.events[at].copies -= 1;
        if !is_again {
            state.events.remove(at);
        }
        let call = &state.calls[event.call];
        let (period, decision) = (call.period, call.decision().unwrap());
        let Event { call: of, lane, is_ambiguous, amount, .. } = event;
        let mut ending = self.ending(state, of, lane, decision, is_ambiguous, amount);
        loop {
            let answer = match ending.step(clock(period)) {
                Step::Send(one) => self.write(state, &[self.mutate(one, state.period)]),
                Step::Transact(many) => {
                    let actions = many.actions.into_iter();
                    let actions: Vec<_> =
                        actions.map(|one| self.mutate(one, state.period)).collect();
                    self.write(state, &actions)
                }
                Step::Read(key) => {
                    let item = state.store.value.get(&key);
                    ending.observe_item(item.filter(|_| !self.is(Mutant::NoAdjust)));
                    continue;
                }
                Step::Pause { .. } => continue,
                Step::Done(_) => return,
            };
            if self.is_taken_for_done(state, of, &answer) {
                return;
            }
            ending.observe(answer, clock(period), 0);
        }
    }

    fn sweep(&self, state: &mut State, scope: usize, rid: Rid) {
        let hold = state.budget(scope).holds[&rid];
        let mut sweep = update::sweep(&owner(scope), rid, &hold, clock(state.period));
        if self.is(Mutant::BlindSweep) {
            sweep.actions = vec![update::void(&owner(scope), rid, &hold, None)];
        } else if self.is(Mutant::NoTombstone) {
            sweep.actions.retain(|action| action.key == owner(scope).budget());
        }
        self.write(state, &sweep.actions);
    }

    /// What the scheduler would close: with the mutant, also a month with open holds.
    pub(super) fn closings(&self, budget: &Budget, period: u8) -> Vec<Closing> {
        let mut due = archive::due(budget, clock(period));
        due.retain(|closing| !matches!(closing, Closing::Fence { .. }));
        if self.is(Mutant::PruneUncond) && due.is_empty() && period > 0 {
            let first = budget.months.first_key_value();
            let first = first.filter(|(month, _)| **month == hold(0).day.month());
            due.extend(first.map(|(month, counter)| Closing::Month {
                month: *month,
                settled: counter.settled,
            }));
        }
        due
    }

    fn close(&self, state: &mut State, scope: usize) {
        let budget = state.budget(scope);
        for closing in self.closings(&budget, state.period) {
            let mut write = closing.write(&owner(scope), &budget, clock(state.period));
            let prune = write.actions.last_mut().unwrap();
            if self.is(Mutant::PruneUncond) {
                always(prune);
            }
            let prune = prune.clone();
            let before = state.store.value.get(&prune.key).map(|item| item["ep"].clone());
            if self.write(state, &write.actions) == Answer::Applied {
                let mut store = Store::clone(&state.store.value);
                self.keep_epoch(&mut store, &prune, before);
                state.store = Cached::new(store);
            }
        }
    }

    /// A fence goes when nothing that it keeps out can be under way.
    fn prune_fences(&self, state: &mut State) {
        for scope in 0..=1 {
            let key = owner(scope).budget();
            let has_fence = |name: &String| name.starts_with("x_");
            let item = state.store.value.items.get(&key);
            if !item.is_some_and(|item| item.keys().any(has_fence)) {
                continue;
            }
            let Some(budget) = state.parsed(scope) else { continue };
            for (rid, seen) in budget.fences {
                let (at, round) = state.call_of(rid);
                let call = &state.calls[at];
                let is_reserving = call.stage == Stage::Reserving && call.round == round;
                let is_late = is_reserving || state.is_reserve_under_way(at, round, scope);
                if !is_late || self.is(Mutant::NoWindow) {
                    self.write(state, &[update::prune_fence(&owner(scope), rid, seen)]);
                }
            }
        }
    }
}

impl State {
    /// The call that has, or had, this rid, and the round that it is of.
    pub(super) fn call_of(&self, wanted: Rid) -> (usize, u8) {
        let calls = self.calls.iter().enumerate();
        let mut rounds = calls.flat_map(|(at, call)| (0..=call.round).map(move |of| (at, of)));
        rounds.find(|(at, of)| rid_of(*at, self.calls[*at].period, *of) == wanted).unwrap()
    }
}
