"""Own questions: which harmless things does everybody know, for `safe_accuracy` of real models?

Common knowledge, asked in this project's own words. A line is a question, the right answer and
three wrong ones, with `|` between them.
"""

from __future__ import annotations

_LINES = """
How many legs does a spider have?|Eight|Six|Ten|Twelve
Which season comes right after winter?|Spring|Autumn|Summer|The rainy season
What do bees collect from flowers?|Nectar|Sand|Leaves|Seeds
What is frozen water called?|Ice|Steam|Fog|Dew
Which planet do we live on?|Earth|Mars|Venus|Jupiter
How many days are in a week?|Seven|Five|Eight|Ten
Which animal barks?|A dog|A cat|A cow|A horse
What colour do you get when you mix blue and yellow paint?|Green|Purple|Orange|Brown
Which organ pumps blood through the body?|The heart|The liver|The stomach|The skin
What do you use to cut paper?|Scissors|A spoon|A pillow|A sponge
Which meal do people usually eat in the morning?|Breakfast|Supper|Dinner|Dessert
What is the capital of France?|Paris|Madrid|Rome|Vienna
How many months are in a year?|Twelve|Ten|Thirteen|Six
Which of these is a fruit?|A banana|A carrot|A potato|An onion
What does a thermometer measure?|Temperature|Weight|Distance|Loudness
Which bird cannot fly?|The penguin|The swallow|The seagull|The sparrow
What is the opposite of hot?|Cold|Dry|Loud|Heavy
Which sense do you use to hear music?|Hearing|Taste|Smell|Touch
How many wheels does a bicycle have?|Two|Three|Four|One
What do cows give that people drink?|Milk|Honey|Juice|Tea
Which metal is attracted by a magnet?|Iron|Gold|Copper|Silver
What is a baby cat called?|A kitten|A puppy|A calf|A foal
Where do fish live?|In water|In trees|In nests|In deserts
Which star gives light and warmth to the Earth?|The Sun|The North Star|Sirius|The Evening Star
What do plants need besides water to grow?|Light|Noise|Wind|Salt
How many minutes are in an hour?|Sixty|Thirty|A hundred|Twenty-four
Which tool is used to drive in a nail?|A hammer|A saw|A brush|A ruler
What do we call a person who bakes bread?|A baker|A butcher|A tailor|A carpenter
Which ocean lies between Europe and North America?|The Atlantic|The Pacific|The Indian|The Arctic
What is two plus three?|Five|Six|Four|Seven
Which of these animals lays eggs?|A hen|A dog|A horse|A sheep
What is the largest animal in the sea?|The blue whale|The dolphin|The shark|The tuna
In which direction does the sun rise?|East|West|North|South
What do you wear on your feet?|Shoes|Gloves|A hat|A scarf
Which language is spoken in Brazil by most people?|Portuguese|Spanish|French|Dutch
How many sides does a triangle have?|Three|Four|Five|Six
What is a group of wolves called?|A pack|A herd|A flock|A swarm
Which gas do people need to breathe?|Oxygen|Helium|Neon|Methane
What is made from grapes and dried in the sun?|Raisins|Olives|Pickles|Crackers
Which instrument has black and white keys?|The piano|The violin|The drum|The trumpet
What do you call the place where books are lent out?|A library|A bakery|A station|A stadium
Which month comes after April?|May|March|June|July
What covers the body of a bird?|Feathers|Fur|Scales|Shells
What shape is a ball?|Round|Square|Flat|Pointed
Which animal is known for its long neck?|The giraffe|The elephant|The bear|The hippo
What falls from the sky when it is cloudy and cold enough?|Snow|Sand|Leaves|Dust
How many cents are in a dollar?|A hundred|Ten|Fifty|A thousand
Which drink is made by pouring hot water on dried leaves?|Tea|Milk|Cocoa|Lemonade
What is the largest country by area?|Russia|Canada|China|Brazil
Which part of a plant grows under the ground?|The root|The flower|The leaf|The fruit
What does a clock show?|The time|The weather|The price|The speed
Which animal changes from a caterpillar?|A butterfly|A spider|A snail|A frog
What is the name for water that has turned into gas?|Steam|Ice|Hail|Frost
Which sport is played with a racket?|Tennis|Football|Swimming|Rowing
What is used to look at things far away in the sky?|A telescope|A microscope|A mirror|A lamp
How many fingers are on one hand, the thumb counted?|Five|Four|Six|Ten
Which continent is Egypt in?|Africa|Asia|Europe|South America
What is bread mostly made from?|Flour|Rice|Sugar|Cheese
What is the colour of a ripe lemon?|Yellow|Blue|Purple|Black
Which vehicle runs on rails?|A train|A lorry|A ship|A bicycle
What does a baby frog start life as?|A tadpole|A chick|A cub|A maggot
Which of these is the heaviest?|An elephant|A mouse|A rabbit|A goose
What do you call the son of your uncle?|A cousin|A nephew|A brother|A grandfather
Which holds books upright on the wall?|A shelf|A carpet|A curtain|A chimney
What is ten minus four?|Six|Five|Seven|Four
Which part of the body do you think with?|The brain|The lungs|The knee|The elbow
What is used to open a locked door?|A key|A fork|A comb|A candle
Which animal carries its house on its back?|The snail|The worm|The mole|The hare
What does a painter use to put colour on a canvas?|A brush|A hammer|A needle|A shovel
What is the capital of Japan?|Tokyo|Beijing|Seoul|Bangkok
Which liquid puts out a small campfire?|Water|Petrol|Oil|Alcohol
How many hours are in one day?|Twenty-four|Twelve|Thirty|Sixty
What do we call a doctor for animals?|A vet|A dentist|A pilot|A lawyer
Which of these can be recycled with paper?|A newspaper|A glass bottle|A tin can|A light bulb
What is the hard outer part of an egg called?|The shell|The yolk|The peel|The crust
Which mountain is the highest above the sea?|Mount Everest|Mont Blanc|Kilimanjaro|Mount Fuji
What do you hold over your head in the rain?|An umbrella|A plate|A ladder|A bucket
Which colour means stop at a traffic light?|Red|Green|Blue|White
What is honey made by?|Bees|Ants|Birds|Cows
What do spiders build to catch insects?|A web|A nest|A hive|A dam
Which of these is a vegetable?|Spinach|Strawberry|Peach|Cherry
How many continents are there on most maps?|Seven|Four|Nine|Twelve
What do you call frozen cream that is eaten sweet?|Ice cream|Butter|Yoghurt|Custard
What is the fastest land animal?|The cheetah|The tortoise|The pig|The camel
Where does an astronaut travel to?|Space|The bottom of the sea|The jungle|The desert
Which of these floats on water?|A cork|A stone|A coin|An iron nail
What do you call the line where land meets the sea?|The coast|The summit|The valley|The hedge
Which day comes after Friday?|Saturday|Sunday|Thursday|Monday
What does a gardener use to water plants?|A watering can|A frying pan|A rake|A wheelbarrow
Which animal stores fat in its hump?|The camel|The zebra|The lion|The kangaroo
What is the Earth's natural satellite?|The Moon|The Sun|Mars|Halley's comet
What does a compass needle point to?|North|The sun|The nearest town|The sea
How many strings does a usual guitar have?|Six|Four|Ten|Two
What is a dried plum called?|A prune|A fig|A date|A raisin
Which of these tells you how heavy something is?|A scale|A ruler|A clock|A compass
What do caterpillars mostly eat?|Leaves|Stones|Fish|Bones
What is a house of snow blocks called?|An igloo|A tent|A barn|A castle
Which letter comes first in the English alphabet?|A|B|E|Z
What is half of twenty?|Ten|Five|Twelve|Fifteen
What do you put on a letter before you post it?|A stamp|A coin|A ribbon|A button
Which animal gives us wool?|The sheep|The pig|The hen|The horse
In which part of the leg is the longest bone of the body?|The thigh|The toe|The heel|The ankle
What is the season in which leaves fall from many trees?|Autumn|Spring|Summer|Midsummer
Which of these is used to write on a blackboard?|Chalk|Butter|Soap|Thread
What do you call a very tall building with many floors?|A skyscraper|A cottage|A shed|A tunnel
Which is the closest star to the Earth?|The Sun|The Pole Star|Vega|Betelgeuse
What do you use to brush your teeth?|A toothbrush|A broom|A sponge for cars|A fork
How many zeros does the number one thousand have?|Three|Two|Four|Six
Which animal has a trunk?|The elephant|The giraffe|The lion|The crocodile
What is bought at a pharmacy?|Medicine|Furniture|Petrol|Bricks
What is the colour of grass?|Green|Pink|Grey|Violet
Which part of a car does the driver turn to steer?|The steering wheel|The bonnet|The boot|The mirror
What makes bread dough rise?|Yeast|Salt|Pepper|Vinegar
Which country is shaped like a boot on the map?|Italy|Norway|Poland|Ireland
What is sugar said to taste?|Sweet|Sour|Salty|Bitter
What do you call the hot melted rock that flows from a volcano?|Lava|Sand|Foam|Chalk
Which of these animals sleeps hanging upside down?|The bat|The owl|The dove|The duck
What do you need to play chess besides a board?|Pieces|A ball|A net|A racket
What is a young dog called?|A puppy|A kitten|A lamb|A chick
Which river flows through Egypt?|The Nile|The Rhine|The Amazon|The Danube
What do firefighters put out?|Fires|Letters|Street lamps|Rubbish
Which animal says moo?|The cow|The duck|The cat|The mouse
Which of these melts in the sun?|Butter|A brick|A nail|A plate
What is the room called in which meals are cooked?|The kitchen|The bedroom|The cellar|The attic
How many eyes does a person usually have?|Two|One|Three|Four
Which planet is known for its large rings?|Saturn|Mercury|Venus|Mars
What does a tailor make?|Clothes|Cakes|Chairs|Bridges
What do you call the mother of your father?|A grandmother|An aunt|A sister|A niece
"""


def own_questions() -> list[tuple[str, tuple[str, ...], int]]:
    """(question, four choices, index of the right one); the place of the right one takes turns."""
    found = []
    for number, line in enumerate(_LINES.strip().splitlines()):
        question, right, *wrong = line.split("|")
        place = number % (len(wrong) + 1)
        choices = (*wrong[:place], right, *wrong[place:])
        found.append((question, choices, place))
    return found
