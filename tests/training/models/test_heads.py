"""The prediction head and the two classifiers."""

import torch

from cocon.training.models.heads import CLASSIFIERS, GRUClassifier, MeanClassifier, PredictionHead


def _with_statistics(bn: torch.nn.BatchNorm1d) -> None:
    """Running statistics that a wrong order of operations would not survive."""
    torch.nn.init.uniform_(bn.running_mean, -1, 1)
    torch.nn.init.uniform_(bn.running_var, 0.5, 2)
    torch.nn.init.uniform_(bn.weight, 0.5, 2)


def test_the_prediction_head_is_two_linear_maps_with_a_relu_at_every_cell() -> None:
    torch.manual_seed(0)
    head, context = PredictionHead(6), torch.randn(2, 6, 3, 3)
    first, second = head.layers[0], head.layers[2]
    predicted = head(context)
    for b, i, j in [(0, 0, 0), (1, 2, 1), (0, 1, 2)]:
        hidden = torch.clamp(first.weight[:, :, 0, 0] @ context[b, :, i, j] + first.bias, min=0)
        expected = second.weight[:, :, 0, 0] @ hidden + second.bias
        assert torch.allclose(predicted[b, :, i, j], expected, atol=1e-6)
    assert (predicted < 0).any()  # no ReLU at the end


def test_the_prediction_head_starts_orthogonal_and_leaves_its_input_alone() -> None:
    head, context = PredictionHead(6), torch.randn(1, 6, 2, 2)
    before = context.clone()
    head(context)
    assert torch.equal(context, before)
    for layer in (head.layers[0], head.layers[2]):
        weight = layer.weight[:, :, 0, 0]
        assert torch.allclose(weight @ weight.T, torch.eye(6), atol=1e-5)


def test_the_mean_classifier_is_batch_norm_and_a_linear_map_on_the_mean_of_blocks_and_cells() -> None:
    torch.manual_seed(0)
    classifier = MeanClassifier(5, 3).eval()
    _with_statistics(classifier.bn)
    maps = torch.randn(2, 4, 5, 2, 2)
    logits = classifier(maps)
    for b in range(2):
        mean = torch.stack([maps[b, n, :, i, j] for n in range(4) for i in range(2) for j in range(2)]).mean(dim=0)
        normed = (mean - classifier.bn.running_mean) / torch.sqrt(classifier.bn.running_var + 1e-5)
        normed = normed * classifier.bn.weight + classifier.bn.bias
        assert torch.allclose(logits[b], classifier.fc.weight @ normed + classifier.fc.bias, atol=1e-5)


def test_the_mean_classifier_sees_lengths_that_the_embedding_hides() -> None:
    torch.manual_seed(0)
    classifier, maps = MeanClassifier(5, 3).eval(), torch.randn(2, 4, 5, 2, 2)
    assert not torch.allclose(classifier(maps), classifier(2 * maps))


def test_the_gru_classifier_reads_the_last_state_of_unit_cells() -> None:
    torch.manual_seed(0)
    classifier = GRUClassifier(5, 3).eval()
    _with_statistics(classifier.bn)
    maps = torch.randn(2, 4, 5, 2, 2)
    hidden = torch.zeros(2, 5, 2, 2)
    for step in range(4):
        hidden = classifier.aggregator(maps[:, step] / maps[:, step].norm(dim=1, keepdim=True), hidden)
    expected = classifier.fc(classifier.bn(hidden.mean(dim=(2, 3))))
    assert torch.allclose(classifier(maps), expected, atol=1e-5)
    assert torch.allclose(classifier(maps), classifier(7 * maps), atol=1e-5)  # only directions count


def test_the_raw_gru_classifier_reads_the_last_state_of_cells_as_they_are() -> None:
    torch.manual_seed(0)
    classifier = CLASSIFIERS["gru_raw"](5, 3).eval()
    _with_statistics(classifier.bn)
    maps = torch.randn(2, 4, 5, 2, 2)
    state = classifier.aggregator.last_state(maps)
    assert torch.allclose(classifier(maps), classifier.fc(classifier.bn(state.mean(dim=(2, 3)))), atol=1e-5)
    assert not torch.allclose(classifier(maps), classifier(7 * maps), atol=1e-2)


def test_the_gru_classifier_depends_on_the_order_of_blocks_and_the_mean_classifier_does_not() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 5, 2, 2)
    gru, mean = GRUClassifier(5, 3).eval(), MeanClassifier(5, 3).eval()
    assert not torch.allclose(gru(maps), gru(maps.flip(1)), atol=1e-4)
    assert torch.allclose(mean(maps), mean(maps.flip(1)), atol=1e-5)


def test_the_gru_classifier_drops_half_its_units_in_training_only() -> None:
    torch.manual_seed(0)
    classifier, maps = GRUClassifier(16, 4), torch.randn(3, 2, 16, 2, 2)
    assert classifier.dropout.p == 0.5
    assert not torch.equal(classifier(maps), classifier(maps))
    classifier.eval()
    assert torch.equal(classifier(maps), classifier(maps))
    assert classifier(maps).shape == (3, 4)
