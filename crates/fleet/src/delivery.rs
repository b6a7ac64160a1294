//! Texts on their way into windows: kept first, then typed, one at a time.

use provost_store::fleet::{
    FleetError, Instance, InstanceId, MessageId, MessageState, MessageStep, NewMessage, NewTask,
    Sender, TaskId, TaskStep,
};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::refusal::Refusal;
use crate::rules::{Caller, SPAWN_WINDOW, asked_for, may_go_on};
use crate::schema;
use crate::tasks::may_be_given;
use crate::terminal::{Input, Key, Terminal, TerminalError, Typable};
use crate::tools::{NewWork, Send, Sent, Tool};

/// The longest line that a terminal passes on to a program that reads lines, in bytes.
const LONGEST_LINE: usize = 4_095;
/// Characters of a task's name that is taken from its text.
const NAME: usize = 60;

/// What became of a text.
pub(crate) struct Delivered {
    pub(crate) message: MessageId,
    pub(crate) state: MessageState,
    pub(crate) task: Option<TaskId>,
}

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// `send`
    pub(crate) async fn send(&self, caller: &Caller, asked: &Send) -> Result<Sent, Failure> {
        let found = self.rows().instance(&asked.to)?;
        let target = asked_for(caller, Tool::Send, &asked.to, found)?;
        check(&asked.text, asked.task.as_ref())?;
        let since = self.now().saturating_sub(SPAWN_WINDOW);
        let subtrees = self.rows().subtrees_of(&target.id, since)?;
        may_go_on(&self.settings.limits, &subtrees)?;
        let message = NewMessage {
            to: target.id.clone(),
            from: caller.sender(),
            text: asked.text.clone(),
            priority: asked.priority,
            copy_of: None,
        };
        let delivered = self
            .hand_over(&target, message, asked.task.as_ref())
            .await?;
        Ok(Sent {
            success: true,
            message_id: delivered.message.to_string(),
            status: delivered.state.word(),
            task_id: delivered.task.map(|id| id.to_string()),
        })
    }

    /// Gives a text to an instance: it stands in its mailbox before anything is typed. With
    /// `work` it is a task, which runs from then on.
    pub(crate) async fn hand_over(
        &self,
        to: &Instance,
        message: NewMessage,
        work: Option<&NewWork>,
    ) -> Result<Delivered, Failure> {
        let now = self.now();
        let task = match work {
            None => None,
            Some(work) => {
                may_be_given(to)?;
                let task = new_task(&to.id, &message.text, work);
                Some(self.rows().put_task(&task, now)?)
            }
        };
        let text = message.text.clone();
        let put = self.rows().put_messages(&[message], now);
        let typed = match put.map(|ids| ids.first().copied()) {
            Ok(Some(id)) => self.type_in(&to.id, id, &text, task).await,
            Ok(None) => Err(Failure::Inside("a message has no number".to_owned())),
            Err(error) => Err(error.into()),
        };
        self.tell();
        if let (Err(failure), Some(task)) = (&typed, task) {
            let reason = failure.to_string();
            // It may have ended with its instance.
            let _ = self
                .rows()
                .step_task(task, &TaskStep::Cancel { reason }, self.now());
        }
        typed
    }

    /// Types a message that waits, when it is its turn.
    async fn type_in(
        &self,
        to: &InstanceId,
        message: MessageId,
        text: &str,
        task: Option<TaskId>,
    ) -> Result<Delivered, Failure> {
        let turn = self.turn(to);
        let _turn = turn.lock().await;
        let delivered = |state| Delivered {
            message,
            state,
            task,
        };
        match self
            .rows()
            .step_message(message, &MessageStep::Deliver, self.now())
        {
            Ok(_) => {}
            // It was faster, and read it in its mailbox.
            Err(FleetError::OtherState { .. }) => {
                let found = self.rows().message(message)?;
                let state = found.map_or(MessageState::Failed, |it| it.state);
                return match state {
                    MessageState::Failed => Err(gone(to, "it was ended meanwhile")),
                    state => Ok(delivered(state)),
                };
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(task) = task {
            // Before it is typed: who is fast reports at once.
            self.rows().step_task(task, &TaskStep::Start, self.now())?;
        }
        let Err(error) = self.enter_line(to, text).await else {
            // Nobody hears from a program that reads lines whether it took one. So the row is
            // settled here, and the answer says no more than that it was handed over.
            let step = MessageStep::Acknowledge;
            self.rows().step_message(message, &step, self.now())?;
            return Ok(delivered(MessageState::Delivered));
        };
        let why = match error {
            TerminalError::NoAnswer => {
                "the terminal gave no answer, and it may have arrived all the same".to_owned()
            }
            error => error.to_string(),
        };
        let step = MessageStep::Fail {
            reason: why.clone(),
        };
        match self.rows().step_message(message, &step, self.now()) {
            // It was ended, and its mailbox with it.
            Ok(_) | Err(FleetError::OtherState { .. } | FleetError::NoMessage { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Err(gone(to, &why))
    }

    async fn enter_line(&self, to: &InstanceId, text: &str) -> Result<(), TerminalError> {
        let terminal = self.windows.terminal();
        // It was checked before it was kept.
        let typable =
            Typable::new(text).map_err(|error| TerminalError::Refused(error.to_string()))?;
        terminal.enter(to, Input::Paste(typable)).await?;
        terminal.enter(to, Input::Key(Key::Enter)).await
    }

    /// Tells an instance something that its leader did not write.
    pub(crate) async fn mention(&self, to: &Instance, from: Sender, text: String) {
        let message = NewMessage {
            to: to.id.clone(),
            from,
            text,
            priority: provost_store::fleet::Priority::Normal,
            copy_of: None,
        };
        // One that has ended need not know.
        let _ = self.hand_over(to, message, None).await;
    }

    /// Texts that were just being typed when the daemon ended may have arrived or not: they
    /// are not typed again, and nothing waits behind them.
    pub(crate) fn settle(&self, of: &InstanceId) -> Result<(), FleetError> {
        for message in self.rows().messages_on_the_way(of)? {
            let reason =
                "the daemon ended while it was handed over; it may have arrived".to_owned();
            self.rows()
                .step_message(message.id, &MessageStep::Fail { reason }, self.now())?;
        }
        Ok(())
    }
}

/// Whether a text can be typed, and the schema of its result is one.
pub(crate) fn check(text: &str, work: Option<&NewWork>) -> Result<(), Refusal> {
    Typable::new(text)?;
    // Carriage returns end lines too.
    let lines = text.split(['\n', '\r']);
    if let Some((at, _)) = lines
        .enumerate()
        .find(|(_, line)| line.len() > LONGEST_LINE)
    {
        let (line, most) = (at + 1, LONGEST_LINE);
        return Err(Refusal::LongLine { line, most });
    }
    match work.and_then(|work| work.schema.as_ref()) {
        None => Ok(()),
        Some(schema) => schema::check(schema).map_err(|problem| Refusal::Schema { problem }),
    }
}

fn new_task(of: &InstanceId, text: &str, work: &NewWork) -> NewTask {
    let first = || {
        text.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(NAME)
            .collect()
    };
    NewTask {
        instance: of.clone(),
        name: work.name.clone().unwrap_or_else(first),
        instruction: text.to_owned(),
        schema: work.schema.as_ref().map(ToString::to_string),
    }
}

fn gone(id: &InstanceId, why: &str) -> Failure {
    Failure::NotDelivered {
        id: id.clone(),
        why: why.to_owned(),
    }
}
