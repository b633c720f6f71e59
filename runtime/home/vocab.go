package home

import "strings"

// Intents are what a sentence can want. schema.md says when each applies.
var Intents = []string{"on", "off", "open", "close", "lock", "unlock", "set", "up", "down",
	"start", "stop", "pause", "resume", "next", "previous", "mute", "unmute", "query", "none"}

// Places are the rooms and zones of a home. "all" is every one of them.
var Places = []string{"living_room", "dining_room", "kitchen", "bedroom", "master_bedroom", "guest_room", "kids_room",
	"study", "bathroom", "hallway", "entrance", "stairs", "balcony", "garage", "garden", "basement", "attic", "laundry",
	"upstairs", "downstairs", "outdoor", "all"}

// MaxPlaces is how many rooms a command can name, joined by "+".
const MaxPlaces = 3

// Days are what can stand before a time of day. A weekday is the next one.
var Days = []string{"tomorrow", "daily", "weekdays", "weekend", "mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// colours of a lamp that can show them; the two whites are of the others, too.
var colours = "red orange yellow green cyan blue purple pink white warm_white cool_white"

// device is what a device can be told.
type device struct {
	name    string
	intents string // besides query
	units   string // of numbers: p percent, c degrees (C or F), k kelvin, l plain number, d duration
	words   string // values that are words
	bare    byte   // the unit of a number said without one, as in units; 0 where that cannot be
}

const (
	switched = "on off"
	dimmed   = "on off set up down"
	opened   = "open close set up down"
	runs     = "start stop pause resume set"
	sounds   = "on off set up down pause resume next previous mute unmute"
)

// devices are all there are, in the order of the tables in schema.md. The empty
// name is a device that the sentence leaves open ("turn it off").
var devices = []device{
	{"light", dimmed, "pk", colours + " max min", 'p'},
	{"lamp", dimmed, "pk", colours + " max min", 'p'},
	{"light_strip", dimmed, "pk", colours + " max min", 'p'},

	{"thermostat", dimmed, "c", "auto heat cool eco max min", 'c'},
	{"ac", dimmed, "cl", "auto heat cool dry fan sleep eco quiet turbo low medium high max min", 'c'},
	{"heater", dimmed, "cl", "auto eco low medium high max min", 'c'},
	{"fan", dimmed, "pl", "auto sleep quiet turbo low medium high max min", 'l'},
	{"humidifier", dimmed, "pl", "auto sleep low medium high max min", 'p'},
	{"dehumidifier", dimmed, "pl", "auto sleep low medium high max min", 'p'},
	{"air_purifier", dimmed, "l", "auto sleep quiet turbo low medium high max min", 'l'},
	{"extractor", dimmed, "l", "auto low medium high max min", 'l'},
	{"water_heater", dimmed, "c", "eco max min", 'c'},

	{"curtain", opened, "p", "", 'p'},
	{"blind", opened, "p", "", 'p'},
	{"window", opened, "p", "", 'p'},
	{"door", "open close", "", "", 0},
	{"lock", "lock unlock", "", "", 0},

	{"tv", sounds, "pl", "hdmi1 hdmi2 hdmi3 max min", 'l'},
	{"projector", sounds, "p", "hdmi1 hdmi2 hdmi3 max min", 'p'},
	{"speaker", sounds, "p", "max min", 'p'},
	{"radio", sounds, "p", "max min", 'p'},
	{"volume", "set up down mute unmute", "p", "max min", 'p'},
	{"music", "start stop set up down pause resume next previous mute unmute", "p",
		"jazz classical rock pop folk relaxing kids dance electronic country blues max min", 'p'},

	{"washer", runs, "c", "cotton wool delicate quick eco rinse spin", 'c'},
	{"dryer", runs, "", "cotton wool delicate quick eco", 0},
	{"dishwasher", runs, "", "auto eco quick intensive rinse", 0},
	{"oven", "on off set up down", "c", "bake grill convection", 'c'},
	{"microwave", runs, "l", "low medium high defrost", 0},
	{"rice_cooker", runs, "", "rice porridge soup quick keep_warm", 0},
	{"coffee_maker", runs, "", "espresso americano latte cappuccino", 0},
	{"kettle", "on off set up down", "c", "keep_warm", 'c'},
	{"robot_vacuum", runs, "", "dock mop spot quiet turbo", 0},
	{"fridge", "set up down", "c", "eco", 'c'},
	{"sprinkler", "start stop pause resume", "", "", 0},
	{"plug", switched, "", "", 0},
	{"camera", switched, "", "", 0},
	{"security", switched, "", "", 0},

	{"scene", switched, "", "home away sleep wake_up movie reading work dinner party guest vacation", 0},
	{"timer", "start stop pause resume up down", "d", "", 0},
	{"alarm", "set off pause", "d", "", 0},

	{"temperature", "", "", "", 0},
	{"humidity", "", "", "", 0},
	{"air_quality", "", "", "", 0},
	{"power", "", "", "", 0},
	{"motion", "", "", "", 0},
	{"smoke", "", "", "", 0},
	{"leak", "", "", "", 0},

	{"all", switched, "", "", 0},
	{"", "on off open close set up down start stop pause resume next previous mute unmute", "pl",
		"auto sleep eco quiet turbo low medium high max min", 'l'},
}

// Devices are the names a command can carry, besides the empty one.
var Devices = func() []string {
	var names []string
	for _, d := range devices {
		if d.name != "" {
			names = append(names, d.name)
		}
	}
	return names
}()

// Words are all values that are words, each once, in the order of the table.
// "lot" is a step: up or down by much.
var Words = func() []string {
	words, seen := []string{}, map[string]bool{}
	for _, d := range devices {
		for _, w := range strings.Fields(d.words) {
			if !seen[w] {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	return append(words, "lot")
}()

func deviceOf(name string) (device, bool) {
	for _, d := range devices {
		if d.name == name {
			return d, true
		}
	}
	return device{}, false
}

// has reports whether a list separated by spaces holds a word.
func has(list, word string) bool {
	for f := range strings.FieldsSeq(list) {
		if f == word {
			return true
		}
	}
	return false
}
