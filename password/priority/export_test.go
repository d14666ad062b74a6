package priority

// NewReminderWith starts one that sets run instead of a clock.
func NewReminderWith(run func(bool)) *Reminder { return &Reminder{clock: fakeClock(run)} }

type fakeClock func(bool)

func (f fakeClock) run(on bool) { f(on) }
