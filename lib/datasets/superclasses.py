"""Groups of classes that belong together by what they show, for the data sets whose authors or classes name some."""

from collections.abc import Sequence

# The twenty of CIFAR-100, five classes each, by A. Krizhevsky (2009); the two of CIFAR-10 follow from its classes.
GROUPS = {
    "cifar100": {
        "aquatic_mammals": "beaver dolphin otter seal whale",
        "fish": "aquarium_fish flatfish ray shark trout",
        "flowers": "orchid poppy rose sunflower tulip",
        "food_containers": "bottle bowl can cup plate",
        "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
        "household_electrical_devices": "clock keyboard lamp telephone television",
        "household_furniture": "bed chair couch table wardrobe",
        "insects": "bee beetle butterfly caterpillar cockroach",
        "large_carnivores": "bear leopard lion tiger wolf",
        "large_man-made_outdoor_things": "bridge castle house road skyscraper",
        "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
        "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
        "medium_mammals": "fox porcupine possum raccoon skunk",
        "non-insect_invertebrates": "crab lobster snail spider worm",
        "people": "baby boy girl man woman",
        "reptiles": "crocodile dinosaur lizard snake turtle",
        "small_mammals": "hamster mouse rabbit shrew squirrel",
        "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
        "vehicles_1": "bicycle bus motorcycle pickup_truck train",
        "vehicles_2": "lawn_mower rocket streetcar tank tractor",
    },
    "cifar10": {"animals": "bird cat deer dog frog horse", "vehicles": "airplane automobile ship truck"},
}


def superclasses(name: str, class_names: Sequence[str]) -> tuple[str, ...] | None:
    """The superclass of each class of a data set, or None where not every class has one.

    Args:
        name: of the data set.
        class_names: C names, in which a blank counts as an underscore.
    """
    of = {word: group for group, words in GROUPS.get(name, {}).items() for word in words.split()}
    found = tuple(of.get(shown.replace(" ", "_"), "") for shown in class_names)
    return found if all(found) else None
