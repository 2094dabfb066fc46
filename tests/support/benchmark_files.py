"""Small benchmarks in the exact file structure their authors publish, with images."""

import base64
import csv
import io
import json
from pathlib import Path

from PIL import Image

COLOURS = ("red", "green", "blue", "orange", "purple", "brown")


def draw(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 12), colour).save(path)


def dump(path: Path, value: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def vqa(folder: Path) -> dict:
    """VQA v2: two questions about each of six images; one question has no annotation."""
    questions, annotations = [], []
    for i, colour in enumerate(COLOURS):
        image_id = 100 + i
        draw(folder / f"val2014/COCO_val2014_{image_id:012}.jpg", colour)
        for j, text in enumerate(("What color is it?", "Is it dark?")):
            question_id = 1000 * image_id + j
            questions.append({"image_id": image_id, "question": text, "question_id": question_id})
            given = [colour] * 7 + ["grey"] * 3 if j == 0 else ["no"] * 6 + ["yes"] * 4
            answers = [
                {"answer": answer, "answer_confidence": "yes", "answer_id": k}
                for k, answer in enumerate(given, start=1)
            ]
            annotation = {
                "question_type": "what color is the" if j == 0 else "is it",
                "multiple_choice_answer": given[0],
                "answers": answers,
                "image_id": image_id,
                "answer_type": "other" if j == 0 else "yes/no",
                "question_id": question_id,
            }
            annotations.append(annotation)
    lost = {"image_id": 100, "question": "Why?", "question_id": 999}
    head = {"info": {"version": "2.0"}, "license": {}, "data_type": "mscoco"}
    head["data_subtype"] = "val2014"
    asked = {**head, "task_type": "Open-Ended", "questions": [*questions, lost]}
    return {
        "layout": "vqa",
        "questions": dump(folder / "v2_OpenEnded_mscoco_val2014_questions.json", asked),
        "annotations": dump(
            folder / "v2_mscoco_val2014_annotations.json", {**head, "annotations": annotations}
        ),
        "images": str(folder / "val2014"),
    }


def textvqa(folder: Path) -> dict:
    """TextVQA: questions and ten answers in one file."""
    data = []
    for i, colour in enumerate(COLOURS):
        draw(folder / f"train_images/{i:016x}.jpg", colour)
        data.append(
            {
                "question": "what is the word?",
                "image_id": f"{i:016x}",
                "image_classes": ["Sign"],
                "flickr_original_url": "https://example.org/1.jpg",
                "image_width": 12,
                "image_height": 12,
                "answers": ["stop", "Stop", "stop", "halt", *["stop"] * 6],
                "question_tokens": ["what", "is", "the", "word"],
                "question_id": 34602 + i,
                "set_name": "val",
            }
        )
    value = {"dataset_type": "val", "dataset_name": "textvqa", "dataset_version": "0.5.1"}
    path = dump(folder / "TextVQA_0.5.1_val.json", {**value, "data": data})
    return {"layout": "vqa", "questions": path, "images": str(folder / "train_images")}


def vizwiz(folder: Path) -> dict:
    """VizWiz: a list of questions without ids, each about its own image."""
    items = []
    for i, colour in enumerate(COLOURS):
        draw(folder / f"val/VizWiz_val_{i:08}.jpg", colour)
        answers = [{"answer_confidence": "yes", "answer": "unanswerable"}] * 4
        answers += [{"answer_confidence": "maybe", "answer": colour}] * 6
        question = "What is this?"
        items.append(
            {
                "image": f"VizWiz_val_{i:08}.jpg",
                "question": question,
                "answers": answers,
                "answer_type": "other",
                "answerable": 1,
            }
        )
    path = dump(folder / "Annotations/val.json", items)
    return {"layout": "vqa", "questions": path, "images": str(folder / "val")}


def gqa(folder: Path) -> dict:
    """GQA: balanced questions by id, two about each image; one answer is missing."""
    questions = {}
    for i, colour in enumerate(COLOURS):
        draw(folder / f"images/{2380000 + i}.jpg", colour)
        for j, (text, answer) in enumerate((("What color is it?", colour), ("Is it big?", "no"))):
            questions[f"20{i}{j}"] = {
                "semantic": [{"operation": "select", "dependencies": [], "argument": "it (1)"}],
                "entailed": [],
                "equivalent": [f"20{i}{j}"],
                "question": text,
                "imageId": str(2380000 + i),
                "isBalanced": True,
                "groups": {"global": None, "local": "06-it"},
                "answer": answer,
                "semanticStr": "select: it (1)",
                "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
                "types": {
                    "detailed": "directOf",
                    "semantic": "attr",
                    "structural": "query" if j == 0 else "verify",
                },
                "fullAnswer": f"It is {answer}.",
            }
    questions["30"] = {"question": "Unanswered?", "imageId": "2380000"}  # as in the test split
    path = dump(folder / "testdev_balanced_questions.json", questions)
    return {"layout": "gqa", "questions": path, "images": str(folder / "images")}


def science_qa(folder: Path) -> dict:
    """ScienceQA: problems of two splits, every second one with an image."""
    problems, splits = {}, {"train": [], "val": [], "test": []}
    for i, colour in enumerate(COLOURS * 2):
        name, split = str(i + 1), ("val", "test")[i // len(COLOURS)]
        splits[split].append(name)
        problems[name] = {
            "question": "Which of these is it?",
            "choices": [colour, "black", "white"][i % 3 :] + [colour, "black", "white"][: i % 3],
            "answer": (0, 2, 1)[i % 3],
            "hint": "Look at the picture." if i % 2 == 0 else "",
            "image": "image.png" if i % 2 == 0 else None,
            "task": "closed choice",
            "grade": "grade2",
            "subject": "natural science",
            "topic": "physics",
            "category": "Optics",
            "skill": "Name colors",
            "lecture": "",
            "solution": "",
            "split": split,
        }
        if i % 2 == 0:
            draw(folder / f"images/{split}/{name}/image.png", colour)
    splits["test"].append("404")  # listed, but missing from the problems
    return {
        "layout": "science_qa",
        "questions": dump(folder / "problems.json", problems),
        "splits": dump(folder / "pid_splits.json", splits),
        "split": {"validation": "val", "test": "test"},
        "images": str(folder / "images"),
    }


def pope(folder: Path) -> dict:
    """POPE: a file of lines per category, over the same images; ids restart in each."""
    files = []
    for category, absent in (("random", "dog"), ("adversarial", "fork")):
        lines = []
        for i, colour in enumerate(COLOURS):
            image = f"COCO_val2014_{i:012}.jpg"
            draw(folder / f"val2014/{image}", colour)
            for thing, label in (("cup", "yes"), (absent, "no")):
                text = f"Is there a {thing} in the image?"
                item = {"question_id": len(lines) + 1, "image": image, "text": text}
                lines.append(json.dumps({**item, "label": label}))
        path = folder / f"coco_pope_{category}.json"
        path.write_text("\n".join([*lines, '{"question_id": 99']) + "\n", encoding="utf-8")
        files.append(str(path))
    return {"layout": "pope", "questions": files, "images": str(folder / "val2014")}


def mme(folder: Path) -> dict:
    """MME: one subtask in each of its three file layouts, two questions per image."""

    def ask(path: Path, things: tuple[str, str], shown: str = "") -> str:
        lines = [
            f"{shown}Is this a {thing}? Please answer yes or no.\t{answer}\n"
            for thing, answer in zip(things, ("Yes", "No"), strict=True)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        return str(path)

    for i, colour in enumerate(COLOURS):
        draw(folder / f"existence/{i:012}.jpg", colour)
        ask(folder / f"existence/{i:012}.txt", ("cup", "dog"))
        draw(folder / f"posters/images/tt{i}.jpg", colour)
        ask(folder / f"posters/questions_answers_YN/tt{i}.txt", ("film", "song"))
        draw(folder / f"code_reasoning/{i:04}.png", colour)
        ask(folder / "code_reasoning.txt", ("loop", "type"), f"{i:04}.png\t")
    ask(folder / "existence/lost.txt", ("cup", "dog"))  # without an image
    return {"layout": "mme", "questions": str(folder), "images": str(folder)}


def mmbench(folder: Path) -> dict:
    """MMBench: a table with base64 images; the second question has its shifts and refers to one."""
    rows = []
    for i, colour in enumerate(COLOURS):
        buffer = io.BytesIO()
        Image.new("RGB", (12, 12), colour).save(buffer, "JPEG" if i % 2 else "PNG")
        picture = base64.b64encode(buffer.getvalue()).decode()
        options = [colour, "black", "white"] + ["clear"] * (i % 2)
        row = {
            "index": i + 241,
            "question": 'Which "colour" is\nit?',
            "hint": "It is plain." if i == 0 else "",
            **dict(zip("ABCD", options, strict=False)),
            "answer": "A",
            "category": "attribute_recognition" if i < 4 else "spatial_relationship",
            "image": picture,
            "source": "own",
            "l2-category": "finegrained_perception (instance-level)",
            "comment": "",
            "split": "dev",
        }
        rows.append(row)
        for shift in range(1, len(options)) if i == 1 else ():
            moved = dict(zip("ABCD", options[shift:] + options[:shift], strict=False))
            answer = "ABCD"[-shift % len(options)]
            index = row["index"] + shift * 10**6
            rows.append({**row, **moved, "index": index, "answer": answer, "image": row["index"]})
    rows.append({**rows[0], "index": 300, "answer": ""})  # as in the test split
    path = folder / "mmbench_dev_20230712.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0] | {"D": ""}), delimiter="\t", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return {"layout": "mmbench", "questions": str(path)}


def mmbench_cn(folder: Path) -> dict:
    """MMBench in Chinese: the same form, with a Chinese prompt."""
    build = mmbench(folder)
    table = Path(build["questions"])
    text = table.read_text(encoding="utf-8").replace("It is plain.", "它是单色的。")
    table.unlink()
    path = table.with_name("mmbench_dev_cn_20231003.tsv")
    path.write_text(text.replace('Which ""colour"" is\nit?', "它是什么颜色？"), encoding="utf-8")
    return {**build, "questions": str(path), "language": "cn"}


BENCHMARKS = {
    writer.__name__: writer
    for writer in (vqa, textvqa, vizwiz, gqa, science_qa, pope, mme, mmbench, mmbench_cn)
}
