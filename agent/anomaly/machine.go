package anomaly

// Codes of the faults of a deposition machine that show in its own signals (dynamics/signature), and of limits that people set.
const (
	SensorStep       Code = "sensor.step"
	SensorDrift      Code = "sensor.drift"
	SensorReversed   Code = "sensor.reversed"
	SensorSwapped    Code = "sensor.swapped"
	Feedstock        Code = "process.feedstock"
	Jam              Code = "process.jam"
	LiftOff          Code = "process.lift_off"
	Flash            Code = "process.flash"
	ColdStart        Code = "process.cold_start"
	Coolant          Code = "process.coolant"
	ToolWear         Code = "process.tool_wear"
	Unreachable      Code = "process.set_point_unreachable"
	StoppedInContact Code = "process.stopped_in_contact"
	ProcessUnusual   Code = "process.unusual"
	LimitHigh        Code = "limit.high"
	LimitLow         Code = "limit.low"
)

// limitCodes have the delays of each limit, which score 1 once these have passed.
var limitCodes = []Definition{
	{Code: LimitHigh, About: AboutChannel, Priority: Medium, Limit: 0.5, Off: 0.1,
		Text:     "the value is above the limit set for it",
		Cause:    "what the limit was set against",
		Response: "bring the value back, or end the build; the limit stands under limits in agent.yaml", DependsOn: []Code{SourceMissing, SensorMissing, SensorFailure, SensorOutOfRange}},
	{Code: LimitLow, About: AboutChannel, Priority: Medium, Limit: 0.5, Off: 0.1,
		Text:     "the value is below the limit set for it",
		Cause:    "what the limit was set against",
		Response: "bring the value back, or end the build; the limit stands under limits in agent.yaml", DependsOn: []Code{SourceMissing, SensorMissing, SensorFailure, SensorOutOfRange}},
}

// machineCodes score 1 where the signature is just there.
var machineCodes = []Definition{
	{Code: SensorStep, About: AboutChannel, Priority: Medium, Limit: 1, On: 0, Off: 30,
		Text:     "the temperature jumps further than heat can move it",
		Cause:    "a loose thermocouple or plug, electrical noise of the drives",
		Response: "fasten plug and shield; do not trust the value, nor advice that rests on it"},
	{Code: SensorDrift, About: AboutChannel, Priority: Medium, Limit: 1, On: 25, Off: 20,
		Text:     "the reading creeps up while the spindle slows, or is at its slowest",
		Cause:    "a thermocouple that comes loose or ages, less contact with the build: for the same set-point the spindle slows and the metal resists more",
		Response: "compare with a second reading; at the same set-point the metal may be colder than shown"},
	{Code: SensorReversed, About: AboutChannel, Priority: Medium, Limit: 1, On: 0, Off: 30,
		Text:     "the temperature falls as the tool heats",
		Cause:    "the wires of the thermocouple are swapped",
		Response: "stop: the machine's controller sees cold and drives on; swap the wires at the plug"},
	{Code: SensorSwapped, About: AboutChannel, Priority: Medium, Limit: 1, On: 0, Off: 30,
		Text:     "another thermocouple heats as the tool does, and the tool's own does not",
		Cause:    "two thermocouples are plugged in the place of each other, or two channels of the logger exchanged",
		Response: "stop: the machine's controller may see the wrong one; compare plugs and channels with the drawing"},
	{Code: Feedstock, About: AboutProcess, Priority: High, Limit: 1, On: 1, Off: 3,
		Text:     "no feedstock: the feed runs without force",
		Cause:    "the bar has run out, or slips in the feed",
		Response: "stop the feed, retract, load the next bar"},
	{Code: Jam, About: AboutProcess, Priority: High, Limit: 1, On: 1, Off: 3,
		Text:     "the bar binds: feed force is high and the feed slower than commanded",
		Cause:    "metal has smeared or set in the bore, galling, the tool is too cold",
		Response: "reduce the feed; if the force does not fall, stop and clear the bore"},
	{Code: LiftOff, About: AboutProcess, Priority: High, Limit: 1, On: 1, Off: 3,
		Text:     "the tool has lost contact with the deposit",
		Cause:    "a gap or step in the layer below, a wrong height in the program, the build has come loose",
		Response: "stop traverse and feed; look at height and clamping before going on", DependsOn: []Code{Feedstock, Jam}},
	{Code: Flash, About: AboutProcess, Priority: Medium, Limit: 1, On: 3, Off: 5,
		Text:     "more metal is fed than laid: flash at the tool's edge",
		Cause:    "a feed too high for the traverse, an override",
		Response: "reduce the feed or raise the traverse; check the overrides"},
	{Code: ColdStart, About: AboutProcess, Priority: Medium, Limit: 1, On: 0, Off: 3,
		Text:     "pressed hard on cold metal: the torque is more than twice a good start's",
		Cause:    "the plunge is too fast or too deep for a cold tool",
		Response: "plunge more slowly, or preheat; check tool and spindle for damage"},
	{Code: Coolant, About: AboutProcess, Priority: High, Limit: 1, On: 3, Off: 20,
		Text:     "the spindle bearing warms faster than it did",
		Cause:    "coolant flow lost or low, a bearing that begins to fail",
		Response: "check coolant flow and level; end the build if the bearing goes on warming", DependsOn: []Code{Feedstock, Jam, LiftOff, Flash}},
	{Code: Unreachable, About: AboutProcess, Priority: Medium, Limit: 1, On: 10, Off: 5,
		Text:     "the set-point is not reached: the spindle is at its fastest or slowest",
		Cause:    "more than 10 °C below: feed or traverse take more heat than the spindle makes, light contact, a worn tool; above: too little is fed for the slowest speed, a reading that creeps up",
		Response: "below: reduce feed and traverse, press more, or lower the set-point; above: feed and travel faster, or lower the spindle's least speed", DependsOn: []Code{Feedstock, Jam, LiftOff}},
	{Code: ProcessUnusual, About: AboutChannel, Priority: Low, Limit: 1, On: 20, Off: 20,
		Text:     "the value is outside its usual range in this phase",
		Cause:    "it differs from the runs that the model was learned from: another material or program, a worn tool, lighter contact, another temperature of coolant or room",
		Response: "compare with a good build; if this is how it is to be run, learn again with this run", DependsOn: []Code{SourceMissing, SensorMissing, SensorFailure, SensorOutOfRange}},
	{Code: ToolWear, About: AboutProcess, Priority: Low, Limit: 1, On: 5, Off: 20,
		Text:     "the tool heats less: less torque and more speed for the same set-point",
		Cause:    "a worn or smeared shoulder, lighter contact, more heat lost into build or coolant",
		Response: "look at the tool at the next stop; compare with builds before"},
	{Code: StoppedInContact, About: AboutProcess, Priority: High, Limit: 1, On: 0, Off: 3,
		Text:     "the spindle stands while the tool is pressed on the hot build",
		Cause:    "a stop of program or drive before the tool was lifted",
		Response: "lift the tool before it sets in the metal; turn the spindle only after that"},
}
