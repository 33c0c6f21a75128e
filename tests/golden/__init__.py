"""What the zoo's pairs compute, kept."""

# Too large, see .gitignore. The files of every other entry come with the package.
NOT_SHIPPED = {"fc3_cifar10", "fc_cifar10_10-25", "fc_mnist_10-25"}
