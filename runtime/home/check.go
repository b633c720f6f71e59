package home

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Check says why a command is not one of the language: a name that is on no
// list, a device that cannot do the intent, a value it cannot take, or a value
// not written in its one way. Nil means that a home could carry it out.
func (c Command) Check() error {
	d, known := deviceOf(c.Device)
	switch {
	case !slices.Contains(Intents, c.Intent):
		return fmt.Errorf("intent %q is not one of %s", c.Intent, strings.Join(Intents, ", "))
	case !known:
		return fmt.Errorf("device %q is not one of %s", c.Device, strings.Join(Devices, ", "))
	}
	if err := checkRoom(c.Rooms()); err != nil {
		return err
	}
	if err := checkReply(c.Reply); err != nil {
		return err
	}
	v, err := ParseValue(c.Value)
	if err != nil {
		return err
	}
	if c.Intent == "none" {
		if c.Device != "" || c.Room != "" || c.Value != "" {
			return fmt.Errorf("intent none with device %q, room %q and value %q: all three are empty then", c.Device, c.Room, c.Value)
		}
		return nil
	}
	if c.Intent == "query" && c.Device == "" {
		return errors.New("a query without a device: name one, or the intent is none")
	}
	if c.Intent != "query" && !has(d.intents, c.Intent) {
		return fmt.Errorf("device %q cannot be told %q, but: query %s", c.Device, c.Intent, d.intents)
	}
	if err := d.checkValue(c.Intent, v); err != nil {
		return fmt.Errorf("%s %s with value %q: %w", c.Intent, c.Device, c.Value, err)
	}
	return nil
}

func checkRoom(rooms []string) error {
	for i, r := range rooms {
		switch {
		case !slices.Contains(Places, r):
			return fmt.Errorf("room %q is not one of %s", r, strings.Join(Places, ", "))
		case slices.Contains(rooms[:i], r):
			return fmt.Errorf("room %q is named twice", r)
		case r == "all" && len(rooms) > 1:
			return fmt.Errorf("room %q stands alone", r)
		}
	}
	if len(rooms) > MaxPlaces {
		return fmt.Errorf("%d rooms; at most %d", len(rooms), MaxPlaces)
	}
	return nil
}

func checkReply(reply string) error {
	if n := utf8.RuneCountInString(reply); n > MaxReply {
		return fmt.Errorf("a reply of %d characters; at most %d", n, MaxReply)
	}
	if strings.ContainsFunc(reply, unicode.IsControl) {
		return fmt.Errorf("reply %q holds a control character", reply)
	}
	return nil
}

// checkValue says why a value does not go with an intent of the device.
func (d device) checkValue(intent string, v Value) error {
	if intent == "query" || intent == "next" || intent == "previous" {
		if !v.Empty() {
			return errors.New("it has none")
		}
		return nil
	}
	switch d.name {
	case "scene":
		if v.Word == "" {
			return fmt.Errorf("a scene needs its name: %s", d.words)
		}
	case "timer":
		if v.Unit != "" || v.Word != "" || v.Clock != "" || v.Delay != 0 {
			return errors.New("a timer has a duration or nothing")
		}
		if v.For == 0 && (intent == "up" || intent == "down") {
			return errors.New("it needs a duration")
		}
		return nil
	case "alarm":
		switch {
		case v.Unit != "" || v.Word != "":
			return errors.New("an alarm has a time")
		case intent == "set" && v.Clock == "" && v.Delay == 0:
			return errors.New("it needs a time of day or a delay")
		case intent == "off" && (v.Delay != 0 || v.For != 0):
			return errors.New("it has a time of day or nothing")
		case intent == "pause" && (v.Clock != "" || v.Delay != 0):
			return errors.New("it has a duration or nothing")
		}
		return nil
	}
	switch intent {
	case "set":
		if v.Word == "" && v.Unit == "" {
			return errors.New("it needs an amount")
		}
	case "up", "down":
		if v.Word == "lot" {
			return nil
		}
		if v.Word != "" {
			return errors.New("a step is a number, \"lot\" or nothing")
		}
	case "start":
		if v.Word == "max" || v.Word == "min" {
			return fmt.Errorf("%q is set, not started", v.Word)
		}
	default:
		if v.Unit != "" || v.Word != "" && d.name != "scene" {
			return errors.New("it has a time or nothing")
		}
	}
	if v.Word != "" && !has(d.words, v.Word) {
		return fmt.Errorf("the words are: %s", d.words)
	}
	if v.Unit != "" && !strings.ContainsRune(d.units, v.Unit.letter()) {
		return errors.New("a number in this unit is not for this device")
	}
	return nil
}

// letter is the unit as the table of devices has it.
func (u Unit) letter() rune {
	switch u {
	case Percent:
		return 'p'
	case Celsius, Fahrenheit:
		return 'c'
	case Kelvin:
		return 'k'
	}
	return 'l'
}
