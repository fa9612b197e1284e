// Package anomaly has the registry of anomalies and the detectors that raise and clear them.
package anomaly

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
)

// Priority says how soon an operator must act (ISA-18.2, sec. 6.3.4). 1 is the most urgent.
type Priority int

// Priorities.
const (
	High   Priority = 1
	Medium Priority = 2
	Low    Priority = 3
)

// Kind is what an anomaly of a code is about.
type Kind string

// Kinds.
const (
	AboutSource  Kind = "source"  // and the channels that it feeds
	AboutChannel Kind = "channel" // one of them
	AboutModel   Kind = "model"   // what the model makes of all
)

// Definition is all that is fixed about a code.
type Definition struct {
	Code     Code
	About    Kind
	Priority Priority
	Text     string  // what it means, for an operator
	Limit    float64 // the score above which the condition holds; conditions that hold or not score 1 and 0
	On, Off  float64 // s that the condition must last to be raised, and its absence to be cleared

	// DependsOn names the causes: while one of them stands on the same subject, an anomaly of this code
	// is its consequence and is neither raised nor left standing.
	DependsOn []Code
}

// registry holds every code, causes before their consequences. A missing value has already been waited
// for by the channel's max age.
var registry = []Definition{
	{Code: SourceMissing, About: AboutSource, Priority: Medium, Limit: 0.5, On: 0.5, Off: 1,
		Text: "no value from the source"},
	{Code: SensorMissing, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0.5, Off: 1,
		Text: "no value from the sensor", DependsOn: []Code{SourceMissing}},
	{Code: SensorFailure, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0, Off: 2,
		Text: "the sensor reports a failure"},
	{Code: SensorOutOfRange, About: AboutChannel, Priority: Medium, Limit: 0.5, On: 0, Off: 2,
		Text: "the value is outside the sensor's range"},
	{Code: SensorRate, About: AboutChannel, Priority: Low, Limit: 0.5, On: 0, Off: 2,
		Text: "the value changes faster than is possible"},
	{Code: Innovation, About: AboutChannel, Priority: Medium, Limit: 1, On: 3, Off: 5,
		Text: "the temperature is not what the model expects"},
	{Code: OutsideTraining, About: AboutModel, Priority: Low, Limit: 0.5, On: 5, Off: 5,
		Text: "the process is outside what the model was trained on"},
	{Code: ModelBlind, About: AboutModel, Priority: Low, Limit: 0.5, On: 0, Off: 1,
		Text: "the estimate rests on no measurement", DependsOn: []Code{SourceMissing, SensorMissing, SensorFailure}},
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
