package generate

import "strings"

// everywhere is all rooms, some of them several times: they are said more often.
var everywhere = strings.Fields("living_room living_room living_room kitchen kitchen kitchen bedroom bedroom bedroom " +
	"bathroom bathroom dining_room dining_room master_bedroom master_bedroom guest_room guest_room kids_room kids_room " +
	"study study hallway hallway entrance stairs balcony balcony garage garage garden basement attic laundry " +
	"upstairs downstairs outdoor")

// seldom are devices of which a home has one, so that their room is hardly said.
const seldom = " washer dryer dishwasher oven microwave rice_cooker coffee_maker kettle fridge robot_vacuum security water_heater volume music scene timer alarm power all "

// lone are devices that no sentence has all of.
const lone = seldom + "door lock extractor temperature humidity air_quality motion smoke leak thermostat "

// place draws rooms: none, one, several, or all.
func (s *sentence) place(share float64) []string {
	if s.device == "timer" || s.device == "alarm" || s.device == "scene" {
		return nil
	}
	if strings.Contains(seldom, " "+s.device+" ") {
		share /= 4
	}
	if s.device == "" {
		share /= 2
	}
	if !s.chance(share) {
		return nil
	}
	rooms := []string{oneOf(s.Generator, everywhere...)}
	several := .11
	if s.section.intent == "query" || s.device == "" || strings.Contains(lone, " "+s.device+" ") {
		several = 0
	}
	for s.chance(several) && len(rooms) < 3 {
		if r := oneOf(s.Generator, everywhere...); !contains(rooms, r) {
			rooms = append(rooms, r)
		}
	}
	return rooms
}

func contains(xs []string, x string) bool {
	for _, y := range xs {
		if x == y {
			return true
		}
	}
	return false
}

// roomWords are a room's forms: kitchen / in the kitchen / the kitchen.
func (s *sentence) roomWords(room string) (attribute, where, noun string, err error) {
	text, err := s.from("r." + room)
	if err != nil {
		return "", "", "", err
	}
	forms := strings.Split(text, "/")
	attribute = strings.TrimSpace(forms[0])
	if s.lang == "zh" {
		if attribute == "_" {
			return "", "", "", errAgain
		}
		return attribute, attribute, attribute, nil
	}
	where, noun = "in the "+attribute, "the "+attribute
	if len(forms) > 1 {
		where = strings.TrimSpace(forms[1])
	}
	if len(forms) > 2 {
		noun = strings.TrimSpace(forms[2])
	}
	return attribute, where, noun, nil
}

// room is a slot for the room alone.
func (s *sentence) room(slot string) (string, error) {
	if s.roomed {
		return "", errAgain
	}
	s.roomed = true
	share := s.section.room
	if slot != "r" {
		share = 1
	}
	if strings.Contains(seldom, " "+s.device+" ") && slot != "r" {
		share = 4
	} else if s.device == "" && slot != "r" {
		share = 2
	}
	rooms := s.place(share)
	if len(rooms) == 0 {
		if slot == "r" && s.device != "all" && s.chance(.03) {
			return s.from("r.here")
		}
		return "", nil
	}
	if slot != "r" {
		rooms = rooms[:1]
	}
	s.rooms = rooms
	attr, where, noun, err := s.roomWords(rooms[0])
	if err != nil {
		return "", err
	}
	if len(rooms) > 1 {
		where, err = s.joined(rooms, 1)
		if err != nil {
			return "", err
		}
		noun, attr = where, where
	}
	switch slot {
	case "Ra":
		if attr == "_" {
			return "", errAgain
		}
		return attr, nil
	case "R":
		return noun, nil
	}
	return where, nil
}

// joined says several rooms; form is 0 for attributes, 1 for where they are.
func (s *sentence) joined(rooms []string, form int) (string, error) {
	var b strings.Builder
	short := s.chance(.5)
	and := oneOf(s.Generator, " and ", " and ", " & ", " plus ")
	comma := ", "
	if s.lang == "zh" {
		and, comma = oneOf(s.Generator, "和", "和", "跟", "、", "还有", "与"), "、"
	}
	for i, r := range rooms {
		attr, where, noun, err := s.roomWords(r)
		if err != nil {
			return "", err
		}
		if attr == "_" && form == 0 || s.lang == "en" && form == 1 && !strings.HasPrefix(where, "in the ") {
			return "", errAgain
		}
		text := attr
		if s.lang == "en" && form == 1 {
			if text = noun; i == 0 {
				text = where
			} else if short {
				text = attr
			}
		}
		switch {
		case i == 0:
		case i == len(rooms)-1:
			b.WriteString(and)
		default:
			b.WriteString(comma)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// noun is the device as it is said, in its slot's form.
func (s *sentence) noun(slot string) (string, error) {
	text, err := s.from("d." + s.device)
	if err != nil {
		return "", err
	}
	text, fixed, is := strings.Cut(strings.TrimSpace(text), " @")
	s.spoke = true
	s.plural = strings.HasSuffix(text, "s") && !strings.HasSuffix(text, "ss")
	if slot == "D" && !is {
		if s.roomed || !s.none {
			return s.article(text, "D"), nil
		}
	}
	if s.roomed {
		if is {
			return "", errAgain
		}
		return s.article(text, slot), nil
	}
	if slot == "D" && is {
		return "", errAgain // the template says the room elsewhere
	}
	s.roomed = true
	if is {
		s.rooms = []string{fixed}
		if slot == "da" {
			text += "都"
		}
		return s.article(text, slot), nil
	}
	if s.lang == "zh" {
		return s.nounZh(text, slot)
	}
	return s.nounEn(text, slot)
}

// article puts the, my or nothing before a noun that is not marked as without.
func (s *sentence) article(noun, slot string) string {
	bare := strings.HasPrefix(noun, "~")
	noun = strings.TrimPrefix(noun, "~")
	if s.lang == "zh" || slot != "d" || bare {
		return noun
	}
	switch p := s.rng.Float64(); {
	case p < .85:
		return "the " + noun
	case p < .92:
		return "my " + noun
	case p < .95:
		return "our " + noun
	case p < .97 && !strings.HasSuffix(noun, "s"):
		return "that " + noun
	}
	return noun
}

func (s *sentence) nounEn(noun, slot string) (string, error) {
	bare := strings.HasPrefix(noun, "~")
	plain := strings.TrimPrefix(noun, "~")
	plural := strings.HasSuffix(plain, "s") && !strings.HasSuffix(plain, "ss") && !bare
	if plural && !strings.Contains(lone, " "+s.device+" ") && s.section.intent != "query" && s.chance(.12) {
		s.rooms = []string{"all"}
		switch form := s.rng.IntN(9); {
		case form < 3:
			return "all the " + plain, nil
		case form < 5:
			return "all " + plain, nil
		case form < 6:
			return "every " + strings.TrimSuffix(plain, "s"), nil
		case form < 7:
			return "all of the " + plain, nil
		case form < 8:
			where, err := s.from("r.all")
			return "the " + plain + " " + where, err
		}
		return "every single " + strings.TrimSuffix(plain, "s"), nil
	}
	rooms := s.place(s.section.room)
	s.rooms = rooms
	if len(rooms) == 0 {
		text := s.article(noun, slot)
		if s.chance(.025) && s.device != "all" {
			here, err := s.from("r.here")
			return text + " " + here, err
		}
		return text, nil
	}
	the := "the "
	if slot == "n" {
		the = ""
	} else if plural && s.chance(.06) {
		the = oneOf(s.Generator, "all the ", "all ", "all of the ")
	}
	if s.chance(.55) {
		if len(rooms) > 1 {
			attr, err := s.joined(rooms, 0)
			return the + attr + " " + plain, err
		}
		attr, _, _, err := s.roomWords(rooms[0])
		if attr == "_" {
			return "", errAgain
		}
		return the + attr + " " + plain, err
	}
	if bare && the == "the " {
		the = ""
	}
	var where string
	var err error
	if len(rooms) > 1 {
		where, err = s.joined(rooms, 1)
	} else {
		_, where, _, err = s.roomWords(rooms[0])
	}
	return the + plain + " " + where, err
}

func (s *sentence) nounZh(noun, slot string) (string, error) {
	if slot == "da" && s.section.intent != "query" { // 灯都
		s.rooms = s.place(.5)
		if len(s.rooms) == 0 {
			s.rooms = []string{"all"}
			if s.chance(.2) {
				noun = oneOf(s.Generator, "家里的", "屋里的", "所有的", "全部的") + noun
			}
			return noun + oneOf(s.Generator, "都", "都", "全", "全都", "全部"), nil
		}
		where, err := s.joined(s.rooms, 0)
		return where + oneOf(s.Generator, "的", "的", "里的", "所有的") + noun + oneOf(s.Generator, "都", "全", "全部"), err
	}
	if slot == "da" {
		return "", errAgain
	}
	if s.device != "" && !strings.Contains(lone, " "+s.device+" ") && s.section.intent != "query" && s.chance(.07) {
		s.rooms = []string{"all"}
		where, err := s.from("r.all")
		return where + noun, err
	}
	s.rooms = s.place(s.section.room)
	if len(s.rooms) == 0 {
		if s.chance(.03) {
			here, err := s.from("r.here")
			return here + "的" + noun, err
		}
		return noun, nil
	}
	where, err := s.joined(s.rooms, 0)
	link := oneOf(s.Generator, "的", "的", "的", "", "", "里的", "那个", "的那个")
	if len(s.rooms) > 1 {
		link = "的"
		if s.chance(.1) {
			link = "所有的"
		}
	} else if s.chance(.04) && !strings.Contains(lone, " "+s.device+" ") {
		link = oneOf(s.Generator, "所有的", "的所有")
	}
	return where + link + noun, err
}
