// Package anomaly has the registry of anomalies and the detectors that raise and clear them.
package anomaly

import "slices"

// Code names a kind of anomaly. The words are the same in the record, in InfluxDB and on screen.
type Code string

// Codes of anomalies. Each has its entry in the registry below.
const (
	SourceMissing    Code = "source.missing"
	SensorMissing    Code = "sensor.missing"
	SensorFailure    Code = "sensor.failure"
	SensorOutOfRange Code = "sensor.out_of_range"
	SensorRate       Code = "sensor.rate"
	Innovation       Code = "innovation"
	OutsideTraining  Code = "model.outside_training"
	ModelBlind       Code = "model.blind"
	ModelNoSkill     Code = "model.no_skill"
	JournalStopped   Code = "journal.stopped"
	DiskLow          Code = "disk.low"
	UploadBehind     Code = "upload.behind"
	ClockWrong       Code = "clock.wrong"
	NotifyFailed     Code = "notify.failed"
	BridgeUnsafe     Code = "bridge.unsafe"
)

// Priority says how soon an operator must act (ISA-18.2, sec. 6.3.4). 1 is the most urgent.
type Priority int

// Priorities.
const (
	High   Priority = 1
	Medium Priority = 2
	Low    Priority = 3
)

// String is high, medium or low.
func (p Priority) String() string {
	switch p {
	case High:
		return "high"
	case Medium:
		return "medium"
	}
	return "low"
}

// ParsePriority reads what [Priority.String] writes; anything else is 0.
func ParsePriority(s string) Priority {
	for p := High; p <= Low; p++ {
		if p.String() == s {
			return p
		}
	}
	return 0
}

// Kind is what an anomaly of a code is about.
type Kind string

// Kinds.
const (
	AboutSource  Kind = "source"  // and the channels that it feeds
	AboutChannel Kind = "channel" // one of them
	AboutModel   Kind = "model"   // what the model makes of all
	AboutAgent   Kind = "agent"   // stirwatch itself: its record, upload, clock, model, messages
	AboutProcess Kind = "process" // several channels together
)

// Definition is all that is fixed about a code.
type Definition struct {
	Code     Code
	About    Kind
	Priority Priority
	Text     string  // what it means, for an operator
	Cause    string  // what usually brings it about
	Response string  // what the operator does about it; a code without one never becomes an alarm
	Limit    float64 // the score above which the condition holds; conditions that hold or not score 1 and 0
	On, Off  float64 // s that the condition must last to be raised, and its absence to be cleared

	// DependsOn names the causes: while one of them stands on the same subject, an anomaly of this code
	// is its consequence and is neither raised nor left standing.
	DependsOn []Code
}

// registry holds every code, causes before their consequences. A missing value has already been waited
// for by the channel's max age.
var registry = slices.Concat(conditions, processCodes, machineCodes, limitCodes)

// conditions are those of sources, sensors, the model and the agent.
var conditions = []Definition{
	{Code: SourceMissing, About: AboutSource, Priority: Medium, Limit: 0.5, On: 0.5, Off: 1,
		Text:     "no value from the source",
		Cause:    "cable or plug, the device without power, a broker or network that is down",
		Response: "check power and cable of the device; `stirwatch ports` and `stirwatch doctor` show what answers"},
	{Code: SensorMissing, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0.5, Off: 1,
		Text:     "no value from the sensor",
		Cause:    "the sensor's plug, a logger that skips the channel, a topic or column that was renamed",
		Response: "check the sensor's plug and that the device still sends this channel", DependsOn: []Code{SourceMissing}},
	{Code: SensorFailure, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0, Off: 2,
		Text:     "the sensor reports a failure",
		Cause:    "an open thermocouple, a broken wire, a short circuit",
		Response: "check the sensor and its wire; do not trust the value, nor advice that rests on it"},
	{Code: SensorOutOfRange, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0, Off: 2,
		Text:     "the value is outside the sensor's range",
		Cause:    "a loose contact, a wrong sensor type in the logger, min and max that do not fit the channel",
		Response: "compare with a second reading; repair the sensor, or mend min and max of the channel"},
	{Code: SensorRate, About: AboutChannel, Priority: Low, Limit: 0.5, On: 0, Off: 2,
		Text:     "the value changes faster than is possible",
		Cause:    "a loose contact, electrical noise of the drives, a max_rate that is too small",
		Response: "fasten plug and shield of the sensor; if the value is true, raise max_rate of the channel"},
	{Code: Innovation, About: AboutChannel, Priority: Medium, Limit: 1, On: 3, Off: 5,
		Text:     "the temperature is not what the model expects",
		Cause:    "contact, feed, coolant or material have changed, or the sensor has drifted or come loose",
		Response: "look at tool, feed and sensor; do not follow advice until it is over"},
	{Code: OutsideTraining, About: AboutModel, Priority: Low, Limit: 0.5, On: 5, Off: 5,
		Text:     "the process is outside what the model was trained on",
		Cause:    "a new material, tool or program, or a set-point that was never run",
		Response: "take forecast and advice as a guess; learn again with this run once it is over"},
	{Code: ModelBlind, About: AboutModel, Priority: Low, Limit: 0.5, On: 0, Off: 1,
		Text:     "the estimate rests on no measurement",
		Cause:    "the tool temperature has been missing or refused for long",
		Response: "restore the tool temperature; until then do not follow advice", DependsOn: []Code{SourceMissing, SensorMissing, SensorFailure}},
	{Code: ModelNoSkill, About: AboutAgent, Priority: Low, Limit: 0.5, On: 5, Off: 5,
		Text:     "the model forecasts no better than a temperature that stays as it is",
		Cause:    "learned from too few or too uniform runs",
		Response: "learn again from more runs: `stirwatch learn`; until then do not rely on the forecast"},
	{Code: JournalStopped, About: AboutAgent, Priority: Medium, Limit: 0.5, On: 2, Off: 5,
		Text:     "nothing is recorded: the journal cannot be written",
		Cause:    "the disk is full, gone or failing, or the folder may not be written",
		Response: "free space or restore the disk; recording goes on by itself, `stirwatch journal status` tells what is missing"},
	{Code: DiskLow, About: AboutAgent, Priority: Low, Limit: 0.5, On: 30, Off: 60,
		Text:     "the disk of the journal is nearly full",
		Cause:    "other programs' files, or a journal size that is larger than the disk",
		Response: "free space, or lower size under journal in agent.yaml", DependsOn: []Code{JournalStopped}},
	{Code: UploadBehind, About: AboutAgent, Priority: Low, Limit: 0.5, On: 30, Off: 30,
		Text:     "the upload to InfluxDB is behind",
		Cause:    "the server or the network is down, the token is wrong, lines come faster than the server takes them",
		Response: "check server, network and token: `stirwatch doctor`; nothing is lost while the journal has room"},
	{Code: ClockWrong, About: AboutAgent, Priority: Low, Limit: 0.5, On: 0, Off: 60,
		Text:     "the clock of this computer was wrong",
		Cause:    "no battery clock, time servers that could not be reached, somebody set it",
		Response: "check date and time service (`timedatectl`); records around the step bear wrong times"},
	{Code: BridgeUnsafe, About: AboutAgent, Priority: High, Limit: 0.5, On: 0, Off: 2,
		Text:     "the controller has not confirmed its safe state",
		Cause:    "its port is unplugged, it is switched off, busy or refuses; something else answers",
		Response: "look at the machine, which goes on with what it was last told, and stop it by its own means if need be; the safe state is sent again until it is confirmed: `stirwatch bridge probe` shows who answers"},
	{Code: NotifyFailed, About: AboutAgent, Priority: Medium, Limit: 0.5, On: 0, Off: 5,
		Text:     "messages about alarms do not get through",
		Cause:    "the server or network is down, an address or password is wrong",
		Response: "`stirwatch notify test NAME` tells the reason; what waits is sent once it works again"},
}

// Definitions are those of all codes, causes before their consequences.
func Definitions() []Definition { return registry }

// Of is the definition of a code. It panics for a code that is not in the registry.
func Of(c Code) *Definition {
	for i := range registry {
		if registry[i].Code == c {
			return &registry[i]
		}
	}
	panic("anomaly: " + string(c) + " is not in the registry")
}

// Text says what a code means, for an operator.
func (c Code) Text() string { return Of(c).Text }
