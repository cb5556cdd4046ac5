"""Invented names for runs that got none: an adjective and an animal."""

from __future__ import annotations

import random

ADJECTIVES = (
    "able agile amber ample aqua arctic astute auburn azure balmy bold brave breezy bright brisk bronze bubbly calm candid careful caring "
    "cheerful chief clever cobalt copper coral cosmic cozy crafty crimson crisp curious daring dashing deft dapper eager earnest elegant "
    "emerald epic fair faithful fancy fearless fine fluffy fond frank free fresh friendly gallant gentle gifted glad golden graceful grand "
    "green happy hardy hazel hearty helpful honest humble icy ideal indigo inventive ivory jade jolly jovial keen kind lavender lively loyal "
    "lucid lucky magenta maroon mellow merry mighty mindful misty modest neat nimble noble novel olive opal optimal orange patient peach "
    "pearl plucky polite proud purple quick quiet radiant rapid rare ready robust rose rosy ruby rugged russet sage sandy sapphire scarlet "
    "serene sharp silver sincere slate smart snowy solid sparkling speedy spirited steady stellar sturdy sunny swift teal tender thrifty "
    "tidy topaz tranquil trim true turquoise upbeat urban valiant velvet vivid warm wise witty woodsy young zealous zesty"
).split()

ANIMALS = (
    "albatross alpaca anteater antelope armadillo badger barracuda bat bear beaver beetle bison bobcat buffalo bullfrog bumblebee bustard "
    "butterfly buzzard camel capybara caribou cat centipede chameleon cheetah chinchilla chipmunk cicada cobra condor coyote crab crane "
    "cricket crow deer dingo dolphin donkey dormouse dove dragonfly duck eagle echidna eel egret elephant elk emu falcon ferret finch "
    "firefly flamingo fox frog gazelle gecko gibbon giraffe goat goldfinch goose gopher grasshopper grouse gull hamster hare hawk hedgehog "
    "heron hippo hornet horse hummingbird hyena ibex ibis iguana impala jackal jackdaw jaguar jay jellyfish kangaroo kestrel kingfisher "
    "kiwi koala kudu ladybug lark lemming lemur leopard limpet lion lizard llama lobster lynx macaw mackerel magpie mallard manatee "
    "mandrill marmot marten meerkat mink mole mongoose monkey moose moth mouse mule narwhal newt nightingale ocelot octopus okapi opossum "
    "orca oriole ostrich otter owl oyster panda panther parrot partridge peacock pelican penguin petrel pheasant pigeon pika platypus pony "
    "porcupine porpoise puffin puma quail quokka rabbit raccoon ram raven reindeer rhino robin rook salamander salmon sandpiper scallop "
    "seahorse seal serval shark sheep shrew shrimp skink skunk skylark sloth snail sparrow spider squid squirrel starfish starling stork "
    "swallow swan swift swordfish tapir tarsier termite tern tiger toad tortoise toucan trout tuna turtle viper vole vulture wallaby "
    "walrus warbler wasp weasel whale wildcat wolf wolverine wombat woodcock woodpecker wren yak zebra"
).split()


def invent() -> str:
    """Return a name such as "nimble-otter". Names need not be unique."""
    return f"{random.choice(ADJECTIVES)}-{random.choice(ANIMALS)}"


def generate_slug(n_words: int) -> str:
    """Return `n_words` words joined by "-": adjectives and an animal last. Raises `ValueError` for fewer than 1."""
    if n_words < 1:
        raise ValueError(f"A name has 1 word or more, not {n_words}.")
    return "-".join([*(random.choice(ADJECTIVES) for _ in range(n_words - 1)), random.choice(ANIMALS)])
