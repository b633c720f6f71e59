package home

const (
	// Who or what something happens to.
	happens = ` (?:i|i'm|i've|we|we're|we've|he|he's|she|she's|they|they're|it|it's|there|there's|the|my|our|your|a|an|any|anyone|anybody|someone|somebody|no one|nobody|everyone|everybody|mum|mom|dad|kids|rain|smoke|motion|humidity|temperature|nothing|all|grandma|grandpa|this|that)\b`
	comes   = ` (?:i|i'm|we|we're|he|she|they|everyone|everybody|someone|somebody|my|our|the (?:kids|baby|movie|film|guests|rain)|it (?:rains|starts|gets|is)|it's)\b`
	person  = `(?:you|mum|mom|dad|he|she|they|someone|somebody|grandma|grandad|grandpa|my (?:wife|husband|son|daughter|sister|brother|mum|mom|dad|neighbou?r))`
	does    = `(?:turn|switch|open|close|shut|lock|unlock|set|start|stop|play|dim|arm|draw|pause|mute)`
	did     = `(?:turned|switched|opened|closed|locked|unlocked|started|stopped|dimmed|raised|lowered)`
	isNow   = `(?:on|off|open|closed|locked|unlocked|running|done|finished|stuck)`
	month   = `(?:january|february|march|april|may|june|july|august|september|october|november|december)`
	weekday = `(?:mon|tues|wednes|thurs|fri|satur|sun)days?`
)

// signsEn are those of English, as the model reads it: in lower case, with digits for numbers and clocks.
var signsEn = []sign{
	{condition, "if |when|once |unless |as long as |so long as |provided |as soon as", re(`\b(?:if|when|whenever|once|unless|as soon as|as long as|so long as|provided(?: that)?)` + happens)},
	{condition, "moment |minute |time ", re(`\b(?:the|every|each|next) (?:moment|minute|time)` + happens)},
	{condition, "after |until |till ", re(`\b(?:after|until|till)` + comes)},
	{condition, "in case |event of", re(`\bin case of\b|\bin the event of\b`)},
	{condition, "should ", re(`\bshould (?:it|the [a-z]+|anyone|someone) (?:start|begin|rain|snow|get|drop|fall|rise|come|ring)\b`)},
	{condition, "if you ", re(`\bif you (?:hear|see|notice|smell|detect)\b`)},
	{condition, "if|when|once |as soon as ", re(`\b(?:if|when|whenever|once|as soon as) [a-z]+ (?:arrives?|comes?|leaves?|rings?|falls?|wakes?|starts?)\b|\bonce [a-z]+(?:'s| is| has) `)},
	{condition, "if|when", re(`\b(?:if|when) ?\p{Han}`)},
	{condition, "assuming|suppos|imagine|were i|say some", re(`^(?:assuming|supposing|suppose|imagine|were i|say (?:someone|somebody))\b`)},

	{forbidden, "circumstances|by no means|refrain from|avoid ", re(`\b(?:under no circumstances|by no means|refrain from|avoid [a-z]+ing)\b[^,]*$`)},
	{forbidden, "should|necessary to|mistake to", re(`\b(?:(?:nobody|no one) should|(?:isn't|is not|not) necessary to|a mistake to)\b`)},
	{forbidden, "wouldn't|what i|last thing", re(`^i wouldn't ` + does + `\b|\bis(?:n't| not) what i\b|\bis the last thing\b`)},

	{told, "ed|went |rang", re(`^` + person + ` (?:has |have |had |just |already )*` + did + `\b[^,]*$`)},
	{told, "ed", re(`^(?:i|we)(?:'ve| have)?(?: just| already)? ` + did + `\b[^,]*$`)},
	{told, "ed|went |rang", re(`^the [a-z ]{2,20} (?:went (?:out|off)|rang|` + did + `)(?: (?:itself|by itself|on its own|at|on|off)\b.*)?$`)},
	{told, "yesterday|last night", re(`^(?:yesterday|last night)\b[^,]*$`)},
	{told, " is |'s | are ", re(`^(?:the|our|my) [a-z' ]{2,30}?(?: is|'s| are)(?: been| still| already| now)* ` + isNow + `(?: now| already| all (?:night|day|morning|evening)|, thank.*)?$`)},
	{told, "told |asked |reckon|claim|manual says", re(`^` + person + ` (?:told|asked) me to\b|^(?:[a-z]+ ){1,2}(?:claims|asked me|(?:he|she) told you)\b|\bthe manual says\b`)},
	{told, "i'm |i am ", re(`^(?:i'm|i am) (?:(?:turning|switching) (?:on|off)|going to ` + does + `)\b`)},
	{told, "usually|always|often|used to|wish|if only", re(`^i (?:usually|always|often) ` + does + `\b|^(?:i|we) (?:wish|used to)\b|^if only\b`)},
	{told, "'ve | have ", re(`\b(?:could|should|would)(?:'ve| have) (?:done|had|turned|switched|opened|closed|left)\b`)},

	{asked, "what |why |when will ", re(`^(?:what does|what if (?:i|we)|when will|why (?:does|did)) `)},
	{asked, "is it |would it be", re(`^(?:is it|would it be) (?:better|cheaper|safe|bad)\b`)},
	{asked, "need to|should ", re(`^(?:do (?:i|we) need to|do you think (?:i|we) should) `)},

	{quoted, "spell |repeat |pretend |translate ", re(`^(?:spell|repeat after me|pretend to|translate) `)},

	{emergency, "fire|gas|burglar|fallen|breaking in", re(`^(?:help[, ]*)?(?:(?:the|my) [a-z]+ is on fire|i (?:can )?smell gas|there's a (?:burglar|fire|gas leak)|i(?:'ve| have) fallen|(?:someone|somebody)(?:'s| is) breaking in)(?:[, ]+(?:help|please|quick|quickly|now|here|through the back door))*$`)},

	{span, "from ", re(`\bfrom \d[\d:]*(?: [ap]\.?m\.?)? (?:to|until|till|through) (?:half )?\d[\d:]*`)},
	{span, "between |up to ", re(`\bbetween [a-z\d:]+ and (?:\d|noon|dusk|dawn|midnight)|\bup to \d{1,2}:\d\d`)},
	{span, "until |till ", re(`\b(?:until|till) (?:half \d|\d|noon\b|midnight\b|sunrise\b|sunset\b|morning\b|tomorrow\b)`)},

	{noDay, "days|weeks|months", re(`\bin (?:\d+|a few|a couple of) (?:days|weeks|months)\b`)},
	{noDay, "next |day after", re(`^[^,]*\bnext (?:week|month)$|\bday after tomorrow\b`)},
	{noDay, " of |ber |ary |rch |ril |may |une |uly |ust ", re(`\b(?:\d+(?:st|nd|rd|th)?|first|second|third) of ` + month + `\b|\b` + month + ` \d+(?:st|nd|rd|th)\b`)},
	{noDay, "christmas|easter|new year", re(`\bon (?:christmas|easter|new year's)\b`)},
	{noDay, "every |day", re(`\bevery (?:\d+ (?:minutes|hours)|other)\b|\b` + weekday + ` and (?:on )?` + weekday + `\b`)},

	{exception, "except|apart from|other than|save for|leaving only|just not", re(`\b(?:except(?:ed)?|apart from|other than|save for|leaving only|just not)\b`)},
	{exception, " but | bar ", re(`\b(?:all|every|everything|everywhere|lights out everywhere) but\b|\b(?:all|every|everything)\b.* (?:but|bar)(?: not| only)? (?:the|my|our|in)\b`)},

	{noSize, " as ", re(`\b(?:make|set|turn|dim)\b.* (?:twice|half|\d+ times) as [a-z]+`)},

	{several, " and | then |,", re(`(?:^|[ ,])(?:` + does + ` (?:on|off|the|up|down|my|all|some|a|an)|wake me) [^,]{1,40}(?: and| then|, then| and then|, and|, and then) ` + does + ` (?:on|off|the|up|down|my|all|some)\b`)},
	{several, " and ", re(`\bon and off\b|\b(?:on|off|up|down) and the [a-z ]+ (?:on|off|up|down)$`)},
	{several, ", ", re(`^[a-z]+ (?:on|off|up|down|open|shut), [a-z]+ (?:on|off|up|down|open|shut)$`)},

	{roomAlone, "room|kitchen|study|hall|entrance|stairs|balcony|garage|garden|basement|attic|laundry|doors|outside",
		re(`^(?:the )?(?:living room|dining room|kitchen|bedroom|master bedroom|guest room|kids room|study|bathroom|hallway|hall|entrance|stairs|balcony|garage|garden|basement|attic|laundry|upstairs|downstairs|outdoors|outside)$`)},
}

// sparesEn are courtesies, asides, and what is a time or an amount.
var sparesEn = []spare{
	{condition, re(`\bif (?:it's|it is|it isn't|it's not|that's|that is|it) (?:not |no |isn't |wouldn't |doesn't |would |could )?(?:be )?(?:too much|any |no |a )?(?:trouble|bother|problem|hassle|too much|at all possible|ok|okay|fine|possible|all right|alright|convenient|handy|all the same)\b`)},
	{condition, re(`\bif (?:someone|somebody|anyone|anybody|we|i) (?:could|can|may|would (?:get|turn|switch|put|shut|please|be so))\b|\bwhen i (?:say|said)\b|(?:that|\d|tonight) is when\b`)},
	{condition, re(`\b(?:that's|appreciate it|(?:ok|okay|possible) (?:for you )?|mind|as|tell|check|remember|see|know|sure|wonder|ask|lovely|nice|great|good|glad|happy|grateful|appreciated?) (?:if|when|once)\b`)},
	{condition, re(`\bi (?:can't|cannot|hate|like|love|sleep|never|always) [^,]*?(?:when|if|once)\b`)},
	{condition, re(`\b(?:if|when|once|as soon as|after|until|till) (?:it's|it is|it gets|it goes|it has got|it turns|it grows)(?: (?:getting|nearly|really|too|a bit|all|quite|pitch|fully|properly))* (?:dark|light)\b`)},
	{condition, re(`\b(?:if|when|once|as soon as|after|until|till) (?:the )?(?:sun(?:'s| is| has)? (?:[a-z]+ )?(?:sets?|rises?|down|up|gone)|(?:day|night|darkness) (?:breaks|falls|comes))\b`)},
	{condition, re(`\b(?:when|once|as soon as) (?:(?:it's|it is|the clock (?:says|strikes)) \d{1,2}(?::\d\d| o'clock)|my \d+ [a-z]+ (?:is|are) up)`)},
	{told, re(`\b(?:make sure|ensure|see to it)\b.*|\b(?:can|could|may|should|must|needs? to|have to|has to) be\b`)},
	{span, re(`\bfrom \d+ (?:percent |% ?|degrees )?to \d+(?: ?(?:%|percent|degrees|°|celsius|fahrenheit|c\b|f\b|k\b|kelvin))`)},
	{span, re(`\b(?:(?:up|down|lower|raise|reduce|increase|drop|dim|brighten|change|set|go)\b[^,]*|(?:turn|take|bring|move) (?:the|my) [a-z]+) from \d[\d.]* to \d[\d.]*`)},
	{exception, re(`\bexcept you\b`)},
	{several, re(`\bturn the key\b|\b(?:set|turn) (?:the|its) (?:temperature|brightness|volume|speed)\b|^time'?s up\b|\b(?:no|wait|sorry|i mean|actually|rather|scratch|correction|make that|instead|hang on|hold on|oops|not)\b.*`)},
}
