"""Restarts and look-alikes in words of our own, written before the rules that must tell them apart.

The rules were written with the entries of even index alone; those of odd index were kept out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartExample:
    """An answer that starts again; the new attempt begins where `after` does."""

    before: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.after


R = RestartExample
RESTARTS: tuple[RestartExample, ...] = (
    R(
        "Volcanoes form where plates meet and magma finds a way up. Most sleep for ages.\n\n",
        "Hold on, you asked me about folding a fitted sheet. Tuck one corner into the other, then "
        "lay the sheet flat and fold it in thirds.",
    ),
    R(
        "The keep was the last refuge of a castle, and its walls were three metres thick. ",
        "Sorry, I seem to have wandered off into castles. Here is how to fix a leaking tap: shut "
        "off the water, unscrew the handle and replace the washer.",
    ),
    R(
        "Octopuses have three hearts and blue blood. They can squeeze through any gap that their "
        "beak fits through.\n\n",
        "Hmm, that has nothing to do with your question. Let me start over.\n\nTo change a fuse, "
        "switch off the mains first.",
    ),
    R(
        "Jazz grew out of blues and ragtime in New Orleans. Its players improvise over chords. ",
        "Scratch that. You wanted to know how to descale a kettle: fill it with equal parts of "
        "vinegar and water, and boil.",
    ),
    R(
        "A glacier moves a few centimetres a day and grinds the rock under it to flour.\n\n",
        "Oops, wrong topic! To knit a scarf, cast on thirty stitches and knit every row.",
    ),
    R(
        "The first lighthouses burned wood in open baskets, and keepers hauled it up by hand. ",
        "I apologize for the digression. Back to what you asked: to prune a rose, cut above an "
        "outward-facing bud.",
    ),
    R(
        "Saturn's rings are mostly ice, from dust to boulders, and only tens of metres thick.\n\n",
        "Let me try that again. To boil an egg, lower it into simmering water and wait seven "
        "minutes.",
    ),
    R(
        "Sourdough is older than baker's yeast. A starter holds dozens of strains.\n\n",
        "No, that's not it. You want to tie a bowline: make a loop, pass the end up through it, "
        "round the back and down again.",
    ),
    R(
        "Chess came to Europe through Persia, and the queen was once the weakest piece. ",
        "Actually, none of that answers what you asked. To defrost a freezer, unplug it and put a "
        "bowl of hot water inside.",
    ),
    R(
        "Bees dance to tell each other where the flowers are. The angle shows the direction.\n\n",
        "I've drifted away from the subject. A budget starts with a list of what comes in and what "
        "goes out.",
    ),
    R(
        "Wool felts when its scales lock. Hot water and rubbing make them do so.\n\n",
        "Let me restart: to patch a bicycle tube, find the hole, roughen the rubber and glue.",
    ),
    R(
        "Honey never spoils, as it holds too little water for anything to grow. Bees fan it dry. ",
        "Okay, that was about bees and not about bicycles. Let me begin again. First turn the bike "
        "upside down.",
    ),
    R(
        "Emperor penguins stand on the ice for two months with an egg on their feet.\n\n",
        "Wait, why am I talking about penguins? You want to write a cover letter, so begin with "
        "the job and why you want it.",
    ),
    R(
        "The blue whale's heart is as large as a small car. Its song carries for miles.\n\n",
        "Forget what I just said about whales. To sharpen a knife, hold the blade at twenty "
        "degrees to the stone.",
    ),
    R(
        "Copper roofs turn green as they weather, and the coat protects the metal below. ",
        "Please ignore the paragraph above; it is about something else entirely. A cake rises when "
        "the oven is hot before it goes in.",
    ),
    R(
        "The piano has some twelve thousand parts, and its strings pull like a lorry. ",
        "My mistake, I mixed up two questions. For compost you need greens, browns, air and water.",
    ),
    R(
        "Sugar came to Europe as a spice that was worth its weight in silver.\n\n",
        "I got carried away with the history of sugar there. Let me return to your question about "
        "bathing a dog: brush the coat first.",
    ),
    R(
        "The moon moves away from us by the width of a thumb each year.\n\n",
        "That was off topic. To hang a picture, mark the height, drill, and set a plug.",
    ),
    R(
        "Camels store fat in their humps and not water, as people often think.\n\n",
        "Let's rewind. You asked how one irons a shirt. Begin with the collar.",
    ),
    R(
        "The telegraph shrank the world. A message crossed the ocean in minutes.\n\n",
        "Correction: the text above is not about your question at all. To plant garlic, push "
        "single cloves into loose soil, tips up.",
    ),
    R(
        "Roman coins carried the head of the emperor, and each one cut them thinner. ",
        "I need to correct myself: so far I wrote about coins, and you asked about corn. Soak the "
        "cobs in salted water and grill them.",
    ),
    R(
        "Granite cools slowly deep below, so its crystals grow large enough to see. ",
        "Hang on, I lost the thread. Changing a tyre begins with loosening the nuts while the "
        "wheel is still on the ground.",
    ),
    R(
        "The tango was born in the harbours of two cities that still quarrel over it.\n\n",
        "Apologies, I was answering a different question. To save a wet phone, switch it off and "
        "take out the card.",
    ),
    R(
        "Meteors burn up because the air in front of them is squeezed until it glows.\n\n",
        "Whoa, I went off on a tangent there. Right, stain removal: dab, do not rub, and use cold "
        "water.",
    ),
    R(
        "Bamboo is a grass. Some kinds grow by a metre in one day.\n\n",
        "I realise that I have not been answering your question at all. A good nap is twenty "
        "minutes long and before three o'clock.",
    ),
    R(
        "The great library held scrolls from every ship that docked. Copies went back.\n\n",
        "Let me get back on track. For a firm handshake, look up, grip, and shake twice.",
    ),
    R(
        "Tulips once cost more than houses. Then, one morning, nobody came to buy.\n\n",
        "Sorry about that. I'll start again from the top. Pancakes need flour, milk, eggs and a "
        "hot pan.",
    ),
    R(
        "Lava tubes form when the crust hardens and the melt beneath runs out. ",
        "Ah, I misread the question. To learn the alphabet of sign language, practise five letters "
        "a day.",
    ),
    R(
        "Sharks are older than trees. They have survived five great extinctions.\n\n",
        "Strike that. Here is what you need for a tent: poles, pegs, a sheet and a flat spot.",
    ),
    R(
        "The harpsichord plucks its strings, while the piano strikes them.\n\n",
        "Well, that was quite a detour. You asked how to clean a mirror, and the trick is to wipe "
        "it with newspaper.",
    ),
    R(
        "Coral is an animal with a plant inside it and a skeleton around both. ",
        "Let me stop there, since this isn't what you wanted. A speech needs one idea, three "
        "examples and an end.",
    ),
    R(
        "Dragonflies beat their four wings separately, so they can fly backwards.\n\n",
        "Never mind all that. To boil rice, rinse it, add twice as much water and cover it.",
    ),
    R(
        "The aqueducts fell by a hand's breadth over a hundred paces. Water did the rest.\n\n",
        "This is not what you asked for, so here is a proper answer. To sew on a button, knot the "
        "thread and go through each hole twice.",
    ),
    R(
        "Steam trains needed water every few miles. The tenders scooped it up as they ran. ",
        "I keep talking about trains. Let me focus on the interview you have tomorrow: read about "
        "the firm and sleep well.",
    ),
    R(
        "Salt was once paid as a wage. Whole roads were built to carry it.\n\n",
        "Hmm, no. Let me rethink this answer. A houseplant wilts from too much water as often as "
        "from too little.",
    ),
    R(
        "Neutron stars spin hundreds of times a second. A spoonful weighs like a mountain.\n\n",
        "[I notice this is drifting toward astronomy, so I will begin anew.] To set a table, the "
        "forks go to the left.",
    ),
    R(
        "The compass points north because the core of the earth turns. Nobody knew why.\n\n",
        "(Sorry, I got off track again.) To make soap you need lye, fat and goggles.",
    ),
    R(
        "Spiders balloon on threads of silk and can cross a sea in the wind.\n\n",
        "Let me take another run at this. To jump-start a car, connect the red clamps first.",
    ),
    R(
        "Ink was made from galls that wasps leave on oaks. It bites into the page.\n\n",
        "Okay, redo. For a lasting shave, soften the beard with a warm cloth.",
    ),
    R(
        "Cheddar is stacked and turned so that the whey runs out. Then it waits for a year. ",
        "Wait - that's about cheese, and you asked about chess. The pawns move first.",
    ),
    R(
        "Windmills had to be turned into the wind by hand, with a long beam.\n\n",
        "Let me do this properly this time. To paint a door, take off the handle and sand it.",
    ),
    R(
        "Napoleon was of average height. The English inch was shorter than the French. ",
        "I should be telling you about knots, not about Napoleon! The square knot is right over "
        "left, then left over right.",
    ),
    R(
        "Elephants hear with their feet as well as with their ears.\n\n",
        "But you didn't ask about elephants, did you? You asked how to fold a map, so lay it flat "
        "and follow the creases.",
    ),
    R(
        "Parchment is the skin of calves, scraped and stretched. A bible took a herd.\n\n",
        "Sorry! Wrong answer. To whistle, wet your lips and blow softly over the tongue.",
    ),
    R(
        "The potato crossed the ocean as a flower for kings. Nobody wanted to eat it. ",
        "Excuse me, I confused your question with another one. To backstitch, go one step back and "
        "two steps forward.",
    ),
    R(
        "Domes stand because each ring of stones leans on the next, and the Romans knew that so ",
        "- sorry, I'm rambling about Rome. Making a paper boat starts with a sheet folded in half.",
    ),
    R(
        "Crows remember faces and tell their young whom to fear.\n\n",
        "Disregard that, please. A garden pond should be a metre deep so that fish survive.",
    ),
    R(
        "The sundial is wrong by up to a quarter of an hour, as our path is an ellipse.\n\n",
        "Looking back at what I wrote, it doesn't address your question. To write a haiku, count "
        "five, seven and five syllables.",
    ),
    R(
        "Amber is the resin of trees that died out. Flies are caught in it.\n\n",
        "Wait. No. That is all wrong. Let me start over. To grill fish, oil the grate first.",
    ),
    R(
        "The violin's varnish has been studied for a century. It is nothing special. ",
        "I'm getting distracted by violins. What you need for your visa is a form, a photo and "
        "patience.",
    ),
    R(
        "First thread a needle, then knot the end, then pull tight. ",
        "Wait, that is off topic. To feed a cat: First open a can, then scoop food.",
    ),
    R(
        "Reindeer eyes turn from gold to blue in winter, and they see ultraviolet light.\n\n",
        "Okay, I've been going on about reindeer, which isn't what this was supposed to be about. "
        "A resume fits on one page.",
    ),
)

LOOKALIKES: tuple[str, ...] = (
    "Write the letters slowly and evenly. If you make a mistake, start over on a fresh sheet.",
    'A speaker who loses the thread may say, "Sorry, I went off track, let me start over." '
    "Nobody in the room will mind.",
    "Spread the glue thinly. Wait until it is tacky, then press the parts together.",
    "Knead it for ten minutes. Wait, what if the dough is too sticky? Then add a little flour.",
    "You have come to the right place. Let me start with the tools: a saw, a square, a pencil.",
    "That sounds painful. I'm sorry, but I can't say what it is without seeing it.",
    "Sand the boards first. Actually, many people skip the primer, and it shows after a year.",
    "Meetings run long when nobody leads them. When a talk drifts off topic, say so kindly and "
    "return to the agenda.",
    "A cake from a packet is fine. One that is made from scratch tastes better, and costs less.",
    "The lamp blinks twice when the clock is set. To start over, hold the button for ten seconds.",
    "I used to think he was rude. I was wrong about him, and it took me years to see it.",
    "She read the letter once more. “No, wait, that's not right,” she said, and tore it up.",
    "Meditation takes practice. Don't worry if you get off track; go back to counting your breath.",
    "Sew a line along the edge. Try again until the seam is even, and press it.",
    "Taxes are confusing at first. Your question is a good one, so let me go through it in order.",
    "The stairs are steep. Hold on to the rail, and keep the other hand free.",
    "People say that bulls hate red. That's not quite right: they see the cloth move.",
    "Here is a simple plan for the week. Let me know if it isn't right and you would like me to "
    "start over.",
    "These three books are a good beginning. I'd be happy to try again if that isn't what you "
    "wanted.",
    "Clean the wood with a dry brush. Scratch the surface with fine paper and wipe off the dust.",
    "The signs had no names on them. I had taken the wrong road, so I turned around and started "
    "over.",
    "Watercolour forgives little. Oops moments happen to every painter, and a sponge lifts most "
    "of them.",
    "Rest helps more than pills. Sorry to hear that you had such a bad week.",
    "The recipe calls for lemon. On second thought, lime does as well, and it keeps longer.",
    "Warm the milk to the heat of your hand. Add two cups of flour, sorry, three cups, and stir.",
    "Anna: How do I boil an egg?\nBen: The moon is far away.\nAnna: Wait, that's not what I asked. "
    "Let's start over.",
    "He wrote back the same evening:\n\n> Sorry, I got sidetracked. Let me begin again.\n\nShe "
    "kept the note for years.",
    "The bridge was nearly done. The engineers noticed the error in the plans and started over.",
    "Exams are written against the clock. If you notice that you have wandered from the question, "
    "cross out the paragraph and begin again.",
    "Keep the call short. Apologize first: tell them that you went off track and want to start "
    "over.",
    "Ask for the paper back. Say that you misread the question and would like more time.",
    "Label every cassette. Rewind the tape before you return it, or you pay a fee.",
    "My first basil died in a week. My mistake was to water it every day. Now I wait.",
    "Air the room before you begin. Let me repeat that: never mix bleach with anything.",
    "Demand falls when prices rise. Let's go back to the example from before, where bread cost "
    "two coins.",
    "While it rests, grease the tin. Back to the dough: it should have doubled by now.",
    "Sign on the dotted line. Ignore the paragraph above your name; it is for the notary.",
    "Basil likes the sun. On an off-topic note, the word comes from the Greek for king.",
    "The lens is the heart of a camera. This may be off topic for your class, but you can build "
    "one from a shoe box.",
    "The set comes with a bag and a lamp. But wait, there's more: you also get a whistle.",
    "Ink is hard to erase. Correction tape works better than fluid, and dries at once.",
    "Maps are not the land. I misread one in the hills once and came down in the wrong valley. "
    "Since then I carry a compass.",
    "First drafts are for the drawer. Many writers find that what they wrote is not what they "
    "wanted, and start again with an outline.",
    "Put the check into the loop:\n\n```python\n# wait, that is wrong, start over\nfor i in "
    "range(3):\n    retry()\n```\n\nThen run it.",
    "The curtain rose at eight. The actor forgot his line, begged pardon and began again from "
    "the top.",
    "A savings account is the first step. I'm going to take that one step further and talk about "
    "funds.",
    "That covers the engine. Now, let me get to the second part of your question, the brakes.",
    "Some people pour boiling water down the drain. That's not what I would do. I'd call a "
    "plumber.",
    "I see that this matters to you. I don't think I should answer that. Is there another thing "
    "I can help with?",
    "The shop opens at nine. I apologize if that was unclear. Which day do you plan to come?",
    "The solo is full of runs. That isn't right for a beginner, so choose a slower song.",
    "Here is a short note that you can send:\n\nDear Ms Kay, I am sorry, I sent you the wrong "
    "file. Please disregard my last message.\n\nSign it with your full name.",
)

LATER_RESTARTS: tuple[RestartExample, ...] = tuple(
    R("Bridges of rope were the first, and some hang over gorges to this day. ", after)
    for after in (
        "Wait, no. You asked me how to wrap a gift. Put the box on the paper first.",
        "I'm sorry, I seem to have gone on a tangent about bridges. Put the box on the paper.",
        "That's not right, let me try again. Put the box on the paper first.",
        "Hmm, this doesn't seem to be about gifts. Put the box on the paper first.",
        "Oh no, I was writing about bridges! Put the box on the paper first.",
        "I made a mistake there. Here are the steps for a gift: put the box on the paper.",
        "Let me get back to wrapping the gift. Put the box on the paper first.",
        "I apologize, that was unrelated. Put the box on the paper first.",
        "Please forget about the bridges. Put the box on the paper first.",
        "My apologies, I drifted off into history. Put the box on the paper first.",
        "Anyway, that's not what we are here for. Put the box on the paper first.",
        "Actually, wait. The task was to explain gift wrapping. Put the box on the paper first.",
        "I have been talking about the wrong thing. Put the box on the paper first.",
        "Let me back up. To wrap a gift, put the box on the paper first.",
        "So far I have told you nothing about gifts. Put the box on the paper first.",
        "Sorry, let me answer what you asked. Put the box on the paper first.",
        "Ignore that last part. To wrap a gift, put the box on the paper first.",
        "What was I saying? Gifts. Put the box on the paper first.",
        "This isn't helping you with your gift, so I'll begin again. Put the box on the paper.",
        "Correction: the subject is gifts, not bridges. Put the box on the paper first.",
        "I misspoke. To wrap a gift, put the box on the paper first.",
        "Hang on a moment, I was asked for something else. Put the box on the paper first.",
        "Okay, new attempt. Put the box on the paper first and cut it to size.",
        "I lost sight of the question. Put the box on the paper first and cut it to size.",
    )
)
"""Written after the rules were final, in words that came to mind; never used to change them."""

LATER_LOOKALIKES: tuple[str, ...] = tuple(
    "Put the box on the paper and cut the paper to size. " + after
    for after in (
        "If the edges do not meet, cut a new sheet and begin again.",
        "I thought for years that tape was wrong. Then I saw how neat it is.",
        "Wait with the ribbon. You need both hands for the corners.",
        "Take the paper off and start over where it tears.",
        "This is not the only way. You can also use a cloth.",
        "No, you don't have to measure. A little too much is fine.",
        "Hmm, and round gifts? Those go into a bag.",
        "My brother said, 'Oops, I forgot your present, let me try again,' and left.",
        "I got distracted at this point once, and the paper was gone.",
        "Let me give you a tip: fold the edge before you tape it.",
        "Turn the box and go back to the first side.",
        "You may have asked yourself why. The pattern should meet on top.",
        "The question is how much paper you need, and the answer is twice the height.",
        "Sorry, this cannot be done with a ball.",
        "A mistake that many make is to pull too hard.",
        "It is not a good sign when the corner bulges.",
        "Well, that is all about corners. Next comes the ribbon.",
        "Shall we try another shape? Pick a tube, for example.",
        "Do the same again on the other end.",
        "Actually, newspaper looks good with a red ribbon.",
        "That was the hard part. Here is the easy one: the bow.",
        "They noticed that they had wrapped the wrong box and had to begin again.",
        "I want to repeat that: sharp scissors.",
        "Let us turn to the ribbon. Cut four times the length of the box.",
    )
)
