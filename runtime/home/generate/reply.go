package generate

import (
	"strconv"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/home"
)

// Reply says what a command does, in one short sentence. Which of a few wordings
// is taken depends on intent and device alone, so that it can be learnt.
func Reply(c home.Command, zh bool) string {
	r := replier{zh, hash(c.Intent, c.Device)}
	text := r.say(c)
	for n := len(c.Rooms()); len([]rune(text)) > home.MaxReply && n > 0; n-- {
		c.Room = strings.Join(c.Rooms()[:n-1], "+") // the longest ones leave rooms out
		text = r.say(c)
	}
	return text
}

type replier struct {
	zh   bool
	hash uint64
}

// pick is one of some wordings.
func (r replier) pick(of ...string) string { return of[(r.hash>>7)%uint64(len(of))] }

func (r replier) say(c home.Command) string {
	v, _ := home.ParseValue(c.Value)
	if r.zh {
		return r.zhSay(c, v)
	}
	thing := strings.TrimSpace(r.rooms(c.Rooms()) + " " + deviceEn[c.Device])
	if c.Device == "" {
		if thing = strings.TrimSpace(r.rooms(c.Rooms())); thing == "" {
			thing = "it"
		}
	}
	when := whenEn(v)
	var text string
	switch c.Intent {
	case "none":
		return "Sorry, I can't do that in this home."
	case "query":
		return sentenceCase(r.pick("checking the ", "looking at the ", "let me check the ") + thing + ".")
	case "on", "off":
		if c.Device == "scene" {
			text = strings.ReplaceAll(v.Word, "_", "-") + " mode " + c.Intent
			break
		}
		if c.Device == "alarm" {
			if v.Clock != "" {
				return "Alarm for " + strings.TrimPrefix(momentEn(v), "at ") + " cancelled."
			}
			return "Alarm off."
		}
		text = thing + " " + c.Intent
		if thing == "it" {
			text = "turning it " + c.Intent
		}
	case "set":
		if c.Device == "alarm" {
			if v.Delay != 0 {
				return "Alarm" + when + "."
			}
			return "Alarm set for " + strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(when), "at "), "on ") + "."
		}
		if text = thing + amountEn(v); thing == "it" {
			text = "setting it to" + strings.TrimPrefix(amountEn(v), " at")
		}
	case "up", "down":
		text = thing + " " + c.Intent
		if thing == "it" {
			text = "turning it " + c.Intent
		}
		switch {
		case v.Word == "lot":
			text += " a lot"
		case v.Unit != "":
			text += " by" + strings.TrimPrefix(amountEn(v), " at")
		}
		if c.Device == "timer" {
			return sentenceCase(map[string]string{"up": "adding ", "down": "taking off "}[c.Intent] + lengthEn(v.For) + ".")
		}
	case "start":
		text = "starting the " + thing
		switch {
		case c.Device == "timer" && v.For > 0:
			return "Timer set for " + lengthEn(v.For) + "."
		case thing == "it":
			text = "starting it"
		case c.Device == "music":
			text = strings.TrimSpace("playing "+v.Word) + " music" + roomTail(r, c)
		case v.Word != "" || v.Unit != "":
			text += strings.Replace(amountEn(v), " at ", " on ", 1)
		}
	case "next", "previous":
		text = c.Intent + " one" + map[bool]string{true: "", false: " on the " + thing}[thing == "it" || c.Device == "music"]
	default:
		verb := map[string]string{"open": "opening", "close": "closing", "lock": "locking", "unlock": "unlocking", "stop": "stopping",
			"pause": "pausing", "resume": "resuming", "mute": "muting", "unmute": "unmuting"}[c.Intent]
		if c.Device == "alarm" {
			text = "snoozing"
			break
		}
		if thing != "it" {
			thing = "the " + thing
		}
		text = verb + " " + thing
	}
	return sentenceCase(text + when + ".")
}

func roomTail(r replier, c home.Command) string {
	if c.Room == "" {
		return ""
	}
	return " in the " + r.rooms(c.Rooms())
}

func sentenceCase(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

var deviceEn = map[string]string{"light": "light", "lamp": "lamp", "light_strip": "LED strip", "ac": "AC", "air_purifier": "air purifier",
	"water_heater": "water heater", "curtain": "curtains", "blind": "blinds", "tv": "TV", "rice_cooker": "rice cooker", "coffee_maker": "coffee machine",
	"robot_vacuum": "robot vacuum", "washer": "washing machine", "air_quality": "air quality", "all": "everything", "security": "alarm system", "motion": "motion sensor",
	"smoke": "smoke sensor", "leak": "leak sensor", "power": "power meter"}

func init() {
	for _, d := range home.Devices {
		if deviceEn[d] == "" {
			deviceEn[d] = d
		}
	}
}

func (r replier) rooms(rooms []string) string {
	var names []string
	for _, x := range rooms {
		if r.zh {
			names = append(names, roomZh[x])
			continue
		}
		names = append(names, map[bool]string{true: "whole house", false: strings.ReplaceAll(x, "_", " ")}[x == "all"])
	}
	if r.zh {
		return strings.Join(names, "和")
	}
	if len(names) == 3 {
		return names[0] + ", " + names[1] + " and " + names[2]
	}
	return strings.Join(names, " and ")
}

func amountEn(v home.Value) string {
	switch {
	case v.Word == "max" || v.Word == "min":
		return " at " + map[string]string{"max": "maximum", "min": "minimum"}[v.Word]
	case v.Word != "":
		return " at " + strings.ReplaceAll(v.Word, "_", " ")
	case v.Unit == home.Celsius || v.Unit == home.Fahrenheit:
		return " at " + strconv.FormatFloat(v.Number, 'f', -1, 64) + "°" + string(v.Unit)
	case v.Unit == home.Level:
		return " at " + strconv.FormatFloat(v.Number, 'f', -1, 64)
	case v.Unit != "":
		return " at " + strconv.FormatFloat(v.Number, 'f', -1, 64) + string(v.Unit)
	}
	return ""
}

var dayEn = map[string]string{"": "", "daily": "every day ", "tomorrow": "tomorrow ", "weekdays": "on weekdays ", "weekend": "at the weekend ", "mon": "on Monday ",
	"tue": "on Tuesday ", "wed": "on Wednesday ", "thu": "on Thursday ", "fri": "on Friday ", "sat": "on Saturday ", "sun": "on Sunday "}

func momentEn(v home.Value) string { return dayEn[v.Day] + "at " + v.Clock }

func whenEn(v home.Value) string {
	switch {
	case v.Clock != "":
		return " " + momentEn(v)
	case v.Delay != 0:
		return " in " + lengthEn(v.Delay)
	case v.For != 0:
		return " for " + lengthEn(v.For)
	}
	return ""
}

func lengthEn(d time.Duration) string {
	return lengthIn(d, []string{"hour", "minute", "second"}, " ", "s")
}

func lengthIn(d time.Duration, names []string, gap, plural string) string {
	var out []string
	for i, u := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n := int(d / u)
		if d -= time.Duration(n) * u; n > 0 {
			text := strconv.Itoa(n) + gap + names[i]
			if n > 1 {
				text += plural
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, gap)
}

var roomZh = map[string]string{"living_room": "客厅", "dining_room": "餐厅", "kitchen": "厨房", "bedroom": "卧室", "master_bedroom": "主卧", "guest_room": "客房",
	"kids_room": "儿童房", "study": "书房", "bathroom": "卫生间", "hallway": "走廊", "entrance": "门口", "stairs": "楼梯", "balcony": "阳台", "garage": "车库", "garden": "花园",
	"basement": "地下室", "attic": "阁楼", "laundry": "洗衣房", "upstairs": "楼上", "downstairs": "楼下", "outdoor": "室外", "all": "全屋"}

var deviceZh = map[string]string{"light": "灯", "lamp": "台灯", "light_strip": "灯带", "thermostat": "温控器", "ac": "空调", "heater": "暖气", "fan": "风扇", "humidifier": "加湿器",
	"dehumidifier": "除湿机", "air_purifier": "净化器", "extractor": "排风扇", "water_heater": "热水器", "curtain": "窗帘", "blind": "百叶窗", "window": "窗户", "door": "门", "lock": "门锁",
	"tv": "电视", "projector": "投影", "speaker": "音箱", "radio": "收音机", "volume": "音量", "music": "音乐", "washer": "洗衣机", "dryer": "烘干机", "dishwasher": "洗碗机", "oven": "烤箱",
	"microwave": "微波炉", "rice_cooker": "电饭煲", "coffee_maker": "咖啡机", "kettle": "水壶", "robot_vacuum": "扫地机", "fridge": "冰箱", "sprinkler": "洒水器", "plug": "插座",
	"camera": "摄像头", "security": "安防", "scene": "场景", "timer": "计时器", "alarm": "闹钟", "temperature": "温度", "humidity": "湿度", "air_quality": "空气质量", "power": "用电",
	"motion": "有没有人", "smoke": "烟雾", "leak": "漏水漏气", "all": "所有设备", "": ""}

var wordZh = map[string]string{"red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "cyan": "青色", "blue": "蓝色", "purple": "紫色", "pink": "粉色", "white": "白光",
	"warm_white": "暖光", "cool_white": "冷光", "auto": "自动", "eco": "节能", "quiet": "静音", "turbo": "强力", "heat": "制热", "cool": "制冷", "dry": "除湿", "fan": "送风", "sleep": "睡眠",
	"low": "低档", "medium": "中档", "high": "高档", "max": "最大", "min": "最小", "jazz": "爵士乐", "classical": "古典乐", "rock": "摇滚乐", "pop": "流行乐", "folk": "民谣", "relaxing": "轻音乐",
	"kids": "儿歌", "dance": "舞曲", "electronic": "电子乐", "country": "乡村音乐", "blues": "蓝调", "cotton": "棉织物", "wool": "羊毛", "delicate": "轻柔", "quick": "快速", "rinse": "漂洗",
	"spin": "脱水", "intensive": "强洗", "bake": "烘焙", "grill": "烧烤", "convection": "热风", "defrost": "解冻", "rice": "米饭", "porridge": "煮粥", "soup": "煲汤", "keep_warm": "保温",
	"espresso": "浓缩", "americano": "美式", "latte": "拿铁", "cappuccino": "卡布奇诺", "dock": "回充", "mop": "拖地", "spot": "局部", "hdmi1": "HDMI1", "hdmi2": "HDMI2", "hdmi3": "HDMI3",
	"home": "回家", "away": "离家", "wake_up": "起床", "movie": "观影", "reading": "阅读", "work": "工作", "dinner": "用餐", "party": "派对", "guest": "会客", "vacation": "度假"}

var intentZh = map[string]string{"on": "已打开", "off": "已关闭", "open": "正在打开", "close": "正在关上", "lock": "正在锁上", "unlock": "正在打开", "start": "开始",
	"stop": "停止", "pause": "暂停", "resume": "继续", "next": "下一个", "previous": "上一个", "mute": "静音", "unmute": "取消静音", "up": "调高", "down": "调低"}

func (r replier) zhSay(c home.Command, v home.Value) string {
	thing := r.rooms(c.Rooms()) + deviceZh[c.Device]
	when := whenZh(v)
	switch {
	case c.Intent == "none":
		return "抱歉，这个家里做不到。"
	case c.Intent == "query":
		return "正在查看" + thing + "。"
	case c.Device == "scene":
		return when + map[string]string{"on": "开启", "off": "退出"}[c.Intent] + wordZh[v.Word] + "模式。"
	case c.Device == "alarm" && c.Intent == "set":
		return when + "叫你。"
	case c.Device == "alarm" && c.Intent == "off":
		return "取消" + when + "闹钟。"
	case c.Device == "alarm":
		return when + "稍后再响。"
	case c.Device == "timer" && (c.Intent == "up" || c.Intent == "down"):
		return map[string]string{"up": "加", "down": "减"}[c.Intent] + when + "。"
	case c.Device == "timer" && v.For > 0:
		return "计时" + when + "。"
	case c.Intent == "set":
		return timeFirst(v, thing+"调到"+amountZh(v)) + "。"
	case c.Intent == "start":
		return timeFirst(v, "启动"+thing+amountZh(v)) + "。"
	case c.Intent == "up" || c.Intent == "down":
		size := amountZh(v)
		if v.Word == "lot" {
			size = "很多"
		}
		return timeFirst(v, thing+intentZh[c.Intent]+size) + "。"
	case c.Intent == "on" || c.Intent == "off":
		if v.Timed() {
			return timeFirst(v, map[string]string{"on": "打开", "off": "关闭"}[c.Intent]+thing) + "。"
		}
		return thing + intentZh[c.Intent] + "。"
	}
	return timeFirst(v, intentZh[c.Intent]+thing) + "。"
}

// timeFirst puts a time before what happens then, a length behind.
func timeFirst(v home.Value, what string) string {
	if v.For != 0 {
		return what + whenZh(v)
	}
	return whenZh(v) + what
}

func amountZh(v home.Value) string {
	switch {
	case v.Word != "":
		return wordZh[v.Word]
	case v.Unit == home.Celsius:
		return strconv.FormatFloat(v.Number, 'f', -1, 64) + "度"
	case v.Unit == home.Fahrenheit:
		return "华氏" + strconv.FormatFloat(v.Number, 'f', -1, 64) + "度"
	case v.Unit == home.Level:
		return strconv.FormatFloat(v.Number, 'f', -1, 64)
	case v.Unit != "":
		return strconv.FormatFloat(v.Number, 'f', -1, 64) + string(v.Unit)
	}
	return ""
}

var dayZh = map[string]string{"": "", "daily": "每天", "tomorrow": "明天", "weekdays": "工作日", "weekend": "周末", "mon": "周一", "tue": "周二", "wed": "周三",
	"thu": "周四", "fri": "周五", "sat": "周六", "sun": "周日"}

func whenZh(v home.Value) string {
	switch {
	case v.Clock == "sunrise":
		return dayZh[v.Day] + "日出时"
	case v.Clock == "sunset":
		return dayZh[v.Day] + "日落时"
	case v.Clock != "":
		return dayZh[v.Day] + v.Clock
	case v.Delay != 0:
		return lengthIn(v.Delay, []string{"小时", "分钟", "秒"}, "", "") + "后"
	case v.For != 0:
		return lengthIn(v.For, []string{"小时", "分钟", "秒"}, "", "")
	}
	return ""
}
