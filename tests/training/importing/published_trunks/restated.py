"""The published networks once more, literally, under torchvision's names: what imported encoders must agree with."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = dict[str, Tensor]

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample = _shortcut(inputs, 4 * planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(out)) + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """`resnet18`, `resnet34` or `resnet50` of torchvision.models, of width 64; as narrow as a test likes."""

    def __init__(self, depth: str, *, width: int = 64, classes: int = 1000) -> None:
        super().__init__()
        block: type[BasicBlock | Bottleneck] = Bottleneck if depth == "resnet50" else BasicBlock
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, blocks in enumerate(DEPTHS[depth]):
            planes, layers = width << stage, []
            for index in range(blocks):
                layers.append(block(inputs, planes, 2 if stage and not index else 1))
                inputs = block.expansion * planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, classes)

    def maps(self, x: Tensor) -> Tensor:
        """`float [M, 3, H, W]` to what layer4 gives."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(stage)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x).mean(dim=(2, 3))


class Conv2Plus1D(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, middle: int, stride: int) -> None:
        super().__init__(
            nn.Conv3d(inputs, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(),
            nn.Conv3d(middle, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


class VideoBlock(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        middle = (inputs * planes * 27) // (inputs * 9 + 3 * planes)
        self.conv1 = nn.Sequential(Conv2Plus1D(inputs, planes, middle, stride), nn.BatchNorm3d(planes), nn.ReLU())
        self.conv2 = nn.Sequential(Conv2Plus1D(planes, planes, middle, 1), nn.BatchNorm3d(planes))
        self.downsample = None
        if stride != 1 or inputs != planes:
            conv = nn.Conv3d(inputs, planes, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm3d(planes))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.conv2(self.conv1(x)) + shortcut)


class R2Plus1D(nn.Module):
    """`r2plus1d_18` of torchvision.models.video."""

    def __init__(self, *, width: int = 64, classes: int = 400) -> None:
        super().__init__()
        middle = round(45 * width / 64)
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(),
            nn.Conv3d(middle, width, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
        for stage in range(4):
            planes = width << stage
            inputs = planes // 2 if stage else width
            first = VideoBlock(inputs, planes, 2 if stage else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, VideoBlock(planes, planes, 1)))
        self.fc = nn.Linear(8 * width, classes)

    def features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(stage)(x)
        return x.mean(dim=(2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x))
        return logits


class ConvNormActivation(nn.Sequential):
    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, tuple(kernel), tuple(stride), tuple(padding), bias=False),  # type: ignore[arg-type]
            nn.BatchNorm3d(outputs, eps=0.001, momentum=0.001),
            nn.ReLU(),
        )


def _pointwise(inputs: int, outputs: int) -> ConvNormActivation:
    return ConvNormActivation(inputs, outputs, (1, 1, 1), (1, 1, 1), (0, 0, 0))


class TemporalSeparableConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, side: int, stride: int, padding: int) -> None:
        super().__init__(
            ConvNormActivation(inputs, outputs, (1, side, side), (1, stride, stride), (0, padding, padding)),
            ConvNormActivation(outputs, outputs, (side, 1, 1), (stride, 1, 1), (padding, 0, 0)),
        )


class SepInceptionBlock3D(nn.Module):
    def __init__(self, inputs: int, b0: int, b1_mid: int, b1: int, b2_mid: int, b2: int, b3: int) -> None:
        super().__init__()
        self.branch0 = _pointwise(inputs, b0)
        self.branch1 = nn.Sequential(_pointwise(inputs, b1_mid), TemporalSeparableConv(b1_mid, b1, 3, 1, 1))
        self.branch2 = nn.Sequential(_pointwise(inputs, b2_mid), TemporalSeparableConv(b2_mid, b2, 3, 1, 1))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), _pointwise(inputs, b3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)


class S3D(nn.Module):
    """`s3d` of torchvision.models.video."""

    def __init__(self, classes: int = 400) -> None:
        super().__init__()
        self.features = nn.Sequential(
            TemporalSeparableConv(3, 64, 7, 2, 3),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            _pointwise(64, 64),
            TemporalSeparableConv(64, 192, 3, 1, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            SepInceptionBlock3D(192, 64, 96, 128, 16, 32, 32),
            SepInceptionBlock3D(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool3d((3, 3, 3), (2, 2, 2), (1, 1, 1)),
            SepInceptionBlock3D(480, 192, 96, 208, 16, 48, 64),
            SepInceptionBlock3D(512, 160, 112, 224, 24, 64, 64),
            SepInceptionBlock3D(512, 128, 128, 256, 24, 64, 64),
            SepInceptionBlock3D(512, 112, 144, 288, 32, 64, 64),
            SepInceptionBlock3D(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool3d((2, 2, 2), (2, 2, 2), (0, 0, 0)),
            SepInceptionBlock3D(832, 256, 160, 320, 32, 128, 128),
            SepInceptionBlock3D(832, 384, 192, 384, 48, 128, 128),
        )
        self.avgpool = nn.AvgPool3d((2, 7, 7), 1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Conv3d(1024, classes, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(x))).mean(dim=(2, 3, 4))
        return logits


def with_random_numbers(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in evaluation mode, with numbers that a mistaken order of operations would not survive."""
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=draw) * (1.6 / fan_in) ** 0.5
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            count, channels = torch.tensor(1234), module.num_features
            module.weight.data = torch.rand(channels, generator=draw) * 0.6 + 0.4
            module.bias.data = torch.randn(channels, generator=draw) * 0.1
            module.running_mean = torch.randn(channels, generator=draw) * 0.1
            module.running_var = torch.rand(channels, generator=draw) + 0.7
            module.num_batches_tracked = count
    return network.eval()


def state_of(network: nn.Module, prefix: str = "") -> State:
    return {prefix + name: tensor for name, tensor in network.state_dict().items()}
